import { createHash } from 'node:crypto';
import type { KeepAnswer } from './access/login.js';
import type { LoginArrival } from './access/login-request.js';
import type { UserId } from './address/wv-address.js';
import { child, numberOf, textOf, type Element } from './codec/element.js';
import type { ImpsContext } from './context.js';
import { sessionStarted } from './lifecycle.js';
import { keyOf, replies, type ReplyRecord, type SessionRecord } from './state/records.js';

/** How long a repeated transaction is recognised, milliseconds. Clients of the field repeat for about five minutes. */
const REMEMBER_MS = 600_000;
/** Answers of logins kept in memory. */
const IN_MEMORY = 4096;
/** How long a repeated login is recognised, milliseconds. */
const LOGIN_MS = 60_000;

interface Running {
  readonly fingerprint: string;
  readonly answer: Promise<Element>;
}

interface KnownLogin {
  readonly at: number;
  readonly answer: Promise<Element>;
  running: boolean;
}

/**
 * Answers of the transactions of a session, so that a repeated one is answered the same and not done twice. A request
 * that changes something is noted before it is done, with the seed of its identifiers, and its answer is committed
 * before it is given: a repeat after a crash finds either the answer or the seed. One that reads is done again when it
 * comes after its answer, and so is any that comes later than a client repeats, since the numbers of transactions come
 * again (CSP Transaction-ID).
 */
export class Replies {
  readonly #running = new Map<string, Running>();
  readonly #logins = new Map<string, KnownLogin>();

  /**
   * @param work does the request; gets the seed for what it makes, and whether an earlier time may have done it already
   * @returns the answer, of this or of the earlier time
   */
  async once(
    context: ImpsContext,
    session: string,
    transactionId: string,
    request: Element,
    changes: boolean,
    work: (seed: string, again: boolean) => Promise<Element>,
  ): Promise<Element> {
    if (transactionId === '') return work(context.ids.next(), false);
    const key = keyOf(session, transactionId);
    const fingerprint = fingerprintOf(request);
    const known = this.#running.get(key);
    if (known?.fingerprint === fingerprint) {
      note(context, session, transactionId);
      return known.answer;
    }
    const answer = changes
      ? this.#committed(context, key, fingerprint, work, transactionId, session)
      : work(context.ids.next(), false);
    return this.#run(key, fingerprint, answer);
  }

  /** Has repeats wait for an answer that is on its way. */
  async #run(key: string, fingerprint: string, answer: Promise<Element>): Promise<Element> {
    this.#running.set(key, { fingerprint, answer });
    try {
      return await answer;
    } finally {
      if (this.#running.get(key)?.answer === answer) this.#running.delete(key);
    }
  }

  #keep(
    context: ImpsContext,
    key: string,
    request: string,
    reply: Element,
    milliseconds: number,
  ): Promise<void> {
    return context.store.update(replies, key, () => ({
      kind: 'put',
      value: { request, seed: '', reply },
      deadline: context.clock.now() + milliseconds,
      result: undefined,
    }));
  }

  /**
   * A request that ends its session is answered the same when it comes again.
   * @param reply what it is answered, committed before the work is done
   */
  async ending(
    context: ImpsContext,
    session: string,
    transactionId: string,
    request: Element,
    reply: Element,
    work: () => Promise<Element>,
  ): Promise<Element> {
    const key = keyOf(session, transactionId);
    const fingerprint = fingerprintOf(request);
    const known = this.#running.get(key);
    if (known?.fingerprint === fingerprint) {
      note(context, session, transactionId);
      return known.answer;
    }
    const end = async (): Promise<Element> => {
      // the first time may have been done with while this one was on its way here
      const earlier =
        (await context.sessions.find(session)) === undefined
          ? await this.ofEnded(context, session, transactionId, request)
          : undefined;
      if (earlier) return earlier;
      await this.#keep(context, key, fingerprint, reply, REMEMBER_MS);
      return work();
    };
    return this.#run(key, fingerprint, end());
  }

  /** What a transaction was answered that comes again when its session is over; undefined when it was not. */
  async ofEnded(
    context: ImpsContext,
    session: string,
    transactionId: string,
    request: Element,
  ): Promise<Element | undefined> {
    if (transactionId === '') return undefined;
    const known = await context.store.get(replies, keyOf(session, transactionId));
    if (known?.reply === undefined || known.request !== fingerprintOf(request)) return undefined;
    note(context, session, transactionId);
    return known.reply;
  }

  /**
   * A login that was answered with a session is answered the same when it comes again from the same place, as long as
   * that session lives, also after a restart: the phone did not get the first answer. So is one whose secret was wrong,
   * which is no further guess, and one that registered a user who has yet to confirm. One that comes while the first is
   * worked on waits for it.
   * @param work is given what commits its answer
   */
  async login(
    context: ImpsContext,
    arrival: LoginArrival,
    work: (keep: KeepAnswer) => Promise<Element>,
  ): Promise<Element> {
    const { transactionId, origin, primitive, version } = arrival;
    const fingerprint = fingerprintOf(primitive);
    const key = keyOf('login', origin.remoteAddress, transactionId, version, fingerprint);
    const known = this.#logins.get(key);
    if (known && context.clock.now() - known.at < LOGIN_MS) {
      const { running } = known;
      const answer = await known.answer;
      if (running || (await stillTrue(context, answer))) {
        note(context, textOf(answer, 'SessionID') ?? origin.remoteAddress, transactionId);
        return answer;
      }
    }
    const takenUp = textOf(primitive, 'SessionID')?.trim() || arrival.sessionId;
    const startingAnew = async (keep: KeepAnswer): Promise<Element> => {
      const answer = await work(keep);
      // a client that takes its session up again may count its transactions from the start
      if (takenUp !== undefined && textOf(answer, 'SessionID') === takenUp) await forget(context, takenUp);
      return answer;
    };
    const login: KnownLogin = {
      at: context.clock.now(),
      answer: this.#login(context, key, fingerprint, transactionId, startingAnew),
      running: true,
    };
    this.#logins.set(key, login);
    if (this.#logins.size > IN_MEMORY) this.#logins.delete(this.#logins.keys().next().value!);
    let kept = false;
    try {
      const answer = await login.answer;
      kept = isKept(answer);
      return answer;
    } finally {
      login.running = false;
      if (!kept && this.#logins.get(key) === login) this.#logins.delete(key);
    }
  }

  async #login(
    context: ImpsContext,
    key: string,
    fingerprint: string,
    transactionId: string,
    work: (keep: KeepAnswer) => Promise<Element>,
  ): Promise<Element> {
    const earlier = await context.store.get(replies, key);
    const reply = earlier?.reply;
    const known = reply && (await stillTrue(context, reply));
    if (reply && known) {
      note(context, textOf(reply, 'SessionID') ?? key.split('\t')[1]!, transactionId);
      // what a crash may have kept from being done
      if (known !== true) await sessionStarted(context, known);
      return reply;
    }
    const keep = (answer: Element): Promise<void> => this.#keep(context, key, fingerprint, answer, LOGIN_MS);
    const answer = await work(keep);
    if (textOf(answer, 'SessionID') === undefined && isKept(answer)) await keep(answer);
    return answer;
  }

  async #committed(
    context: ImpsContext,
    key: string,
    fingerprint: string,
    work: (seed: string, again: boolean) => Promise<Element>,
    transactionId: string,
    session: string,
  ): Promise<Element> {
    const fresh = context.ids.next();
    const deadline = context.clock.now() + REMEMBER_MS;
    const claim = await context.store.update<ReplyRecord, ReplyRecord>(replies, key, (current) => {
      if (current?.request === fingerprint) return { kind: 'keep', result: current };
      const value = { request: fingerprint, seed: fresh };
      return { kind: 'put', value, deadline, result: value };
    });
    if (claim.reply !== undefined) {
      note(context, session, transactionId);
      return claim.reply;
    }
    const reply = await work(claim.seed, claim.seed !== fresh);
    await context.store.update(replies, key, () => ({
      kind: 'put',
      value: { request: fingerprint, seed: claim.seed, reply },
      deadline,
      result: undefined,
    }));
    return reply;
  }
}

/** What a session was answered so far is no answer to what it asks from now on. */
async function forget({ store }: ImpsContext, session: string): Promise<void> {
  for await (const { key } of store.scan(replies, { prefix: keyOf(session, '') }))
    await store.update(replies, key, () => ({ kind: 'remove', result: undefined }));
}

const codeOf = (answer: Element): number | undefined => numberOf(child(answer, 'Result'), 'Code');

/** Whether a login's answer is given again to its repeat: another try would come to something else. */
const isKept = (answer: Element): boolean =>
  textOf(answer, 'SessionID') !== undefined || [203, 409].includes(codeOf(answer) ?? 0);

/** Whether a login's answer still holds: its session lives, or its user has yet to confirm. @returns the session, if it has one */
async function stillTrue(context: ImpsContext, answer: Element): Promise<SessionRecord | boolean> {
  const session = textOf(answer, 'SessionID');
  if (session !== undefined) return (await context.sessions.find(session)) ?? false;
  if (codeOf(answer) !== 203) return codeOf(answer) === 409;
  const user = await context.ports.users.find(textOf(answer, 'UserID') as UserId);
  return user?.state === 'confirming';
}

const fingerprintOf = (request: Element): string =>
  createHash('sha1').update(JSON.stringify(request)).digest('base64');

const note = (context: ImpsContext, session: string, transactionId: string): void =>
  context.trail.record({
    code: 'imps.transaction-repeated',
    outcome: 'noted',
    clause: 'CSP Transaction-ID',
    trace: session,
    detail: transactionId,
  });
