import { VirtualClock } from '../../src/base/clock.js';
import { silentLogger, type Logger } from '../../src/base/log.js';
import { MemoryTrail } from '../../src/base/trail.js';
import type { UserId } from '../../src/imps/address/wv-address.js';
import { capabilityRequest, message, serviceRequest } from '../../src/imps/client/csp-client.js';
import { wbxmlCoding, type ReadMessage } from '../../src/imps/codec/coding.js';
import { element, textOf, type Element } from '../../src/imps/codec/element.js';
import type { CspMessage } from '../../src/imps/codec/envelope.js';
import { createContext } from '../../src/imps/create-context.js';
import { exchange } from '../../src/imps/exchange.js';
import { Replies } from '../../src/imps/replies.js';
import { primitivesOf } from '../imps/tools/primitives.js';
import { MemoryStore } from '../tools/memory-store.js';

/** A server in the middle of its work, before its listeners: whatever Session-ID a message names, it is Alice's. */
export interface PreparedServer {
  answer(read: ReadMessage): Promise<CspMessage | undefined>;
  /** What it logged as an error. */
  readonly errors: readonly unknown[];
}

const origin = { remoteAddress: '192.0.2.1', msisdn: undefined };
const user = (name: string): UserId => `wv:${name}@ims.test` as UserId;

/** @returns what makes one prepared server after the other, each in the same state and independent of the others */
export async function preparedServer(): Promise<() => PreparedServer> {
  const store = new MemoryStore();
  const first = serverOn(store);
  for (const name of ['alice', 'bob', 'carol'])
    await first.context.ports.users.create({
      user: user(name),
      password: `${name}-secret`,
      state: 'active',
      createdAt: 0,
    });
  const [alice, bob] = [await first.login('alice'), await first.login('bob')];
  for (const { name, ...rest } of primitivesOf('1.3'))
    if (/^(?:CreateList|CreateAttributeList|CreateGroup|SubscribeNotification)-Request$/.test(name))
      await first.say(alice, { name, ...rest });
  for (const text of ['one', 'two']) await first.say(bob, message(text, [user('alice')]));
  return () => {
    const { context, run, errors } = serverOn(store.copy());
    return {
      errors,
      answer: (read) => {
        const { sessionId } = read.message;
        // an identifier that begins so stays unknown
        const own = sessionId === undefined || sessionId.startsWith('x') ? sessionId : alice;
        return run({ ...read, message: { ...read.message, sessionId: own } }, context);
      },
    };
  };
}

function serverOn(store: MemoryStore) {
  const clock = new VirtualClock();
  const errors: unknown[] = [];
  const log: Logger = { ...silentLogger, error: (fields) => void errors.push(fields) };
  const trail = new MemoryTrail(() => clock.now());
  const context = createContext({ store, clock, trail, log }, [], () => false);
  const replies = new Replies();
  const run = (read: ReadMessage, on = context): Promise<CspMessage | undefined> =>
    exchange(on, replies, read, origin);
  let transaction = 0;
  const say = async (sessionId: string | undefined, primitive: Element): Promise<Element | undefined> => {
    const id = `p${++transaction}`;
    const answer = await run({
      message: {
        version: '1.3',
        sessionType: sessionId === undefined ? 'Outband' : 'Inband',
        sessionId,
        transactions: [{ mode: 'Request', id, primitive }],
        poll: undefined,
        cir: undefined,
      },
      coding: wbxmlCoding,
      versionKnown: true,
      defect: undefined,
    });
    return answer?.transactions[0]?.primitive;
  };
  const login = async (name: string): Promise<string> => {
    const response = await say(
      undefined,
      element(
        'Login-Request',
        element('UserID', user(name)),
        element('ClientID', element('URL', 'wv:lab1$acme@maker.m1.42')),
        element('Password', `${name}-secret`),
        element('SessionCookie', 'c'),
      ),
    );
    const session = textOf(response, 'SessionID')!;
    await say(session, capabilityRequest('1.3'));
    await say(session, serviceRequest);
    return session;
  };
  return { context, run, errors, say, login };
}
