import { ParleyError } from '../base/errors.js';
import type { AkaSecret } from '../sip/auth/aka.js';
import { Milenage } from '../sip/auth/milenage.js';
import type { OpenChallenge } from '../sip/auth/aka-server.js';
import { Tuak, TOPC_OCTETS } from '../sip/auth/tuak.js';
import { nextSqn, sqnOctets, sqnOf } from '../sip/auth/sqn.js';
import { table, type Store } from '../store/store.js';
import './errors.js';
import type { Subscriber } from './subscribers.js';

/** What an operator gives for a USIM, in hex; one of `op` and `opc`. */
export interface NewAkaKeys {
  /** 16 octets; with TUAK also 32. */
  readonly k: string;
  /** 16 octets; 32 are TOP, and TOPc, of TUAK (3GPP TS 35.231). */
  readonly op?: string | undefined;
  readonly opc?: string | undefined;
  /** 2 octets; `8000`, the separation bit of 3GPP access (TS 33.102 annex H), when absent. */
  readonly amf?: string | undefined;
  /** 6 octets: the sequence number that the first challenge comes after; zeros when absent. */
  readonly sqn?: string | undefined;
}

/** As kept, in hex. OP is not kept: OPc, or TOPc, is all that is needed, and OP is the operator's secret. */
export interface AkaKeySet {
  readonly k: string;
  readonly opc: string;
  readonly amf: string;
}

/** What changes with each challenge of a subscriber. */
interface AkaState {
  /** Sequence number of its last vector. */
  readonly sqn: number;
  /** Oldest first; absent in records of versions that kept one. */
  readonly challenges?: readonly OpenChallenge[] | undefined;
}

/** Challenges open at a time for one private identity: as many of its devices may register at once. */
const MAX_OPEN = 8;

const states = table<AkaState>('aka-states');

const DEFAULT_AMF = '8000';

/** @throws ParleyError `subscriber-invalid`, naming what is wrong and never its value. */
export function akaKeySet(wanted: NewAkaKeys): AkaKeySet {
  const { k, op, opc, amf = DEFAULT_AMF, sqn = '000000000000' } = wanted;
  const tuak = (op ?? opc)?.length === 2 * TOPC_OCTETS;
  const length = tuak ? TOPC_OCTETS : 16;
  check('K', k, tuak && k.length === 64 ? 32 : 16);
  check('AMF', amf, 2);
  check('SQN', sqn, 6);
  if ((op === undefined) === (opc === undefined))
    throw new ParleyError('subscriber-invalid', 'one of OP and OPc');
  if (opc !== undefined) check('OPc', opc, length);
  if (op !== undefined) check('OP', op, length);
  const derived = (): Buffer =>
    tuak ? Tuak.topcOf(octets(k), octets(op!)) : Milenage.opcOf(octets(k), octets(op!));
  return {
    k: k.toLowerCase(),
    opc: opc?.toLowerCase() ?? derived().toString('hex'),
    amf: amf.toLowerCase(),
  };
}

/** Sequence numbers and keys of the subscribers who have a USIM (3GPP TS 33.102 §6.3). */
export class AkaSubscriptions {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  secretOf({ aka }: Subscriber): AkaSecret | undefined {
    return aka && { k: octets(aka.k), opc: octets(aka.opc), amf: octets(aka.amf) };
  }

  /**
   * Opens a challenge with the next sequence number in place of the one that its device had, which is known by its Call-ID: of each
   * registration one is open (3GPP TS 24.229 §5.4.1.2.1), beyond {@link MAX_OPEN} the oldest is over. Committed: after a crash the number
   * is not given out again, and any node knows the answer.
   * @param over nonce of one that is over too.
   */
  challenge(privateId: string, make: (sqn: number) => OpenChallenge, over?: string): Promise<void> {
    return this.#store.update(states, privateId, (current) => {
      const sqn = nextSqn(current?.sqn ?? 0);
      const opened = make(sqn);
      const others = openOf(current).filter(
        ({ callId, nonce }) => callId !== opened.callId && nonce !== over,
      );
      const challenges = [...others, opened].slice(-MAX_OPEN);
      return { kind: 'put', value: { sqn, challenges }, result: undefined };
    });
  }

  /** The open challenge with a nonce. */
  async challengeOf(privateId: string, nonce: string): Promise<OpenChallenge | undefined> {
    return openOf(await this.#store.get(states, privateId)).find((open) => open.nonce === nonce);
  }

  /** What remains of a challenge takes its place. @returns false when it is not open as it was: its answer has come already. */
  settle(privateId: string, was: OpenChallenge, remains: OpenChallenge | undefined): Promise<boolean> {
    return this.#store.update(states, privateId, (current) => {
      const challenges = openOf(current);
      const isOpen = challenges.some(({ nonce, count }) => nonce === was.nonce && count === was.count);
      if (!current || !isOpen) return { kind: 'keep', result: false };
      const left = challenges.flatMap((open) => (open.nonce === was.nonce ? (remains ?? []) : open));
      return { kind: 'put', value: { ...current, challenges: left }, result: true };
    });
  }

  /** Takes over the number that a USIM reports (TS 33.102 §6.3.5). No challenge is open then: what its numbers are is no longer so. */
  async resynchronise(privateId: string, sqn: number): Promise<void> {
    sqnOctets(sqn);
    await this.#store.update(states, privateId, () => ({ kind: 'put', value: { sqn }, result: undefined }));
  }

  /** @param sqn in hex, of the last vector that another home subscriber server made. */
  start(privateId: string, sqn = '000000000000'): Promise<void> {
    return this.resynchronise(privateId, sqnOf(octets(sqn)));
  }

  async forget(privateId: string): Promise<void> {
    await this.#store.update(states, privateId, () => ({ kind: 'remove', result: undefined }));
  }
}

const openOf = (state: AkaState | undefined): readonly OpenChallenge[] => state?.challenges ?? [];

function check(name: string, hex: string, length: number): void {
  if (hex.length !== 2 * length || !/^[0-9a-f]+$/i.test(hex))
    throw new ParleyError('subscriber-invalid', `${name} is not ${length} octets in hex`);
}

const octets = (hex: string): Buffer => Buffer.from(hex, 'hex');
