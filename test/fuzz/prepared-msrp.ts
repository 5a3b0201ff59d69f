import assert from 'node:assert/strict';
import { VirtualClock } from '../../src/base/clock.js';
import type { ParleyError } from '../../src/base/errors.js';
import { Connection, type RequestRouter } from '../../src/msrp/connection/connection.js';
import { defaultConnectionLimits } from '../../src/msrp/connection/limits.js';
import { msrpError } from '../../src/msrp/errors.js';
import { defaultParserLimits } from '../../src/msrp/message/index.js';
import { MsrpRelay } from '../../src/msrp/relay/index.js';
import { parseMsrpMedia } from '../../src/msrp/sdp/index.js';
import {
  defaultMsrpLimits,
  splice,
  streamedMessages,
  wholeMessages,
  type MsrpEndpoint,
  type SessionOptions,
} from '../../src/msrp/session/index.js';
import { RefusingSink } from '../../src/msrp/session/refusing.js';
import { sessionIdOf } from '../../src/msrp/session/report.js';
import { MsrpSession, type SessionHost } from '../../src/msrp/session/session.js';
import { parseMsrpUri } from '../../src/msrp/uri.js';
import { MemoryWire } from '../msrp/tools/memory-wire.js';

const clock = new VirtualClock();
let nodes = 0;
const limits = {
  ...defaultMsrpLimits,
  openMessages: 3,
  laneOctets: 512,
  sessionHeldOctets: 4000,
  chunkOctets: 512,
};
const peer = (name: string) =>
  parseMsrpMedia(
    `v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=message 9 TCP/MSRP *\r\na=accept-types:*\r\na=path:msrp://peer.test:9/${name};tcp\r\na=setup:active\r\n`,
  );
const [one, two] = [peer('one'), peer('two')];
const bind = Buffer.from(
  'MSRP bind0001 SEND\r\nTo-Path: msrp://127.0.0.1:2855/right;tcp\r\nFrom-Path: msrp://peer.test:9/two;tcp\r\nMessage-ID: bind\r\n-------bind0001$\r\n',
);
const auth = Buffer.from(
  'MSRP auth0001 AUTH\r\nTo-Path: msrps://relay.test;tcp\r\nFrom-Path: msrp://peer.test:9/one;tcp\r\n-------auth0001$\r\n',
);

/** Lets promises and what they give rise to settle. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 12; i++) await Promise.resolve();
}

/** A node with four sessions, two of them joined, and a relay with one URI, and connections of two peers. */
export class FuzzNode {
  readonly wires: readonly [MemoryWire, MemoryWire] = [new MemoryWire(), new MemoryWire()];
  readonly #held = { octets: 0 };
  readonly #sessions = new Map<string, MsrpSession>();
  readonly #relay: MsrpRelay;
  readonly #connections: readonly Connection[];

  constructor() {
    const trail = {
      record: ({ detail = '' }: { detail?: string | undefined }) => {
        assert(!/\/(?:lease|holds|left|right);/.test(detail), 'no session-id in the trail');
      },
    };
    const host: SessionHost = {
      clock,
      trail,
      limits,
      held: this.#held,
      matching: 'path',
      connect: () => Promise.reject(msrpError('msrp-connect-failed')),
      closed: () => {},
    };
    const session = (name: string, options: SessionOptions): MsrpSession => {
      const made = new MsrpSession(host, parseMsrpUri(`msrp://127.0.0.1:2855/${name};tcp`), options);
      made.connect(name === 'right' ? two : one, false);
      this.#sessions.set(name, made);
      return made;
    };
    session('holds', { receiver: wholeMessages(2000, ({ octets }) => (octets.length % 2 ? 200 : 415)) });
    session('streams', {
      receiver: streamedMessages(2000, async (_message, pieces) => {
        for await (const piece of pieces) if (piece.length > 100) return 413;
        return 200;
      }),
    });
    splice(session('left', {}), session('right', {}), {
      messageOctets: 3000,
      observe: () => ({ piece: (piece) => void piece.length, end: (status) => void status }),
    });
    let leases = 0;
    const endpoint = {
      listeners: [],
      newUri: () => parseMsrpUri(`msrps://relay.test:2855/lease${leases++ === 0 ? '' : leases};tcp`),
      pool: { to: () => Promise.reject(msrpError('msrp-connect-failed')) },
    };
    this.#relay = new MsrpRelay({
      clock,
      trail,
      endpoint: endpoint as unknown as MsrpEndpoint,
      authority: {
        judge: async ({ authorization }) =>
          authorization === undefined
            ? { kind: 'accepted', user: 'alice', info: 'nc=00000001' }
            : { kind: 'challenge', challenges: ['Digest realm="x"'], wrong: true },
      },
      place: {},
      names: ['relay.test'],
      limits: { laneOctets: 512, hops: 2, urisPerUser: 3 },
    });
    const router: RequestRouter = {
      request: (connection, head, hasBody) => {
        const id = head.toPath.includes(' ') ? undefined : sessionIdOf(head.toPath);
        const known = id === undefined ? undefined : this.#sessions.get(id);
        if (known) return known.request(connection, head, hasBody);
        return this.#relay.request(connection, head, hasBody) ?? new RefusingSink(connection, head, 481);
      },
    };
    this.#connections = this.wires.map(
      (wire) =>
        new Connection({
          wire,
          clock,
          router,
          limits: { ...defaultConnectionLimits, parser: defaultParserLimits },
          onClosed: (_connection, error) => noFault(error),
        }),
    );
  }

  /** The relay gives its URI to the first peer, and the second is there. */
  async ready(): Promise<void> {
    this.wires[0].push(auth);
    this.wires[1].push(bind);
    await settled();
  }

  /** Ends everything, and looks whether anything stays. */
  async close(): Promise<void> {
    if (++nodes % 32 === 0) clock.advance(200_000);
    this.wires[0].close();
    for (const session of this.#sessions.values()) session.close();
    this.#relay.close();
    await settled();
    assert.equal(this.#held.octets, 0, 'octets stay held');
    assert.equal(this.#relay.figures.uris, 0, 'a URI outlives its relay');
    for (const connection of this.#connections) {
      assert(!connection.isHeld, 'a connection stays held');
      assert.equal(connection.users, 0, 'a connection keeps users');
    }
    this.wires[1].close();
  }
}

function noFault(error: ParleyError | undefined): void {
  // thrown as it is, so that its stack is seen
  if (error?.code === 'msrp-internal') throw error.cause;
}
