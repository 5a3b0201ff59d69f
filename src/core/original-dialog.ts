import type { Clock } from '../base/clock.js';
import { Mac } from '../base/mac.js';
import { parseUri } from '../sip/message/uri.js';
import type { LocalEnd } from '../sip/embedded/wire.js';
import type { Listener, Source } from '../sip/stack.js';
import { ownPlace, placeOf } from './own-place.js';
import type { SessionCase } from './service.js';

/** Where a request stands in a chain of services. */
export interface ChainPosition {
  readonly sessionCase: SessionCase;
  readonly servedUser: string;
  /** Key of the served user's registration set. */
  readonly set: string;
  /** Place of the last service that was done; the next one has a higher value. */
  readonly after: number;
  /** Names the sending to an application server that the request comes back from. */
  readonly call?: string | undefined;
}

const PREFIX = 'odi.';
const MARK_CHARACTERS = 16;
/** Long enough for a service that rings somebody first; a request that is sent later starts a chain of its own. */
const LIFETIME_MS = 15 * 60_000;
/** Seconds since the epoch that no clock reaches. */
const NEVER = 36 ** 7 - 1;
const cases: readonly SessionCase[] = ['originating', 'terminating-registered', 'terminating-unregistered'];

/**
 * Makes and knows original dialog identifiers (3GPP TS 24.229 §5.4.3.2): the Route by which a request comes back from a
 * service. They hold the position in the chain, signed and with an end, so that nothing has to be remembered; each
 * one leads strictly further down the chain, which ends every loop.
 */
export class OriginalDialogs {
  readonly #mac: Mac;
  readonly #clock: Clock;
  readonly #listeners: () => readonly Listener[];

  /** @param key shared by all nodes of the domain. @param listeners where the server is reached. */
  constructor(key: Uint8Array, clock: Clock, listeners: () => readonly Listener[]) {
    this.#mac = new Mac(key, MARK_CHARACTERS);
    this.#clock = clock;
    this.#listeners = listeners;
  }

  /**
   * A Route value (`<sip:odi.…@host:port;lr>`) that leads back to this server, or to its node `at`.
   * @param near the peer's side, if known; `endless` makes one that never grows old.
   */
  route(position: ChainPosition, near?: Source | 'endless', at?: LocalEnd): string {
    const { sessionCase, servedUser, set, after, call = '' } = position;
    const end = near === 'endless' ? NEVER : Math.ceil((this.#clock.now() + LIFETIME_MS) / 1000);
    const fields = [cases.indexOf(sessionCase), after, end.toString(36), call, set];
    if (servedUser !== set) fields.push(servedUser);
    const body = Buffer.from(fields.join('\n')).toString('base64url');
    return `<sip:${PREFIX}${body}.${this.#mac.of(body)}@${at ? placeOf(at) : ownPlace(this.#listeners(), near === 'endless' ? undefined : near)};lr>`;
  }

  /** Reads our own Route; undefined when it is no identifier, forged, or too old. */
  read(ownRoute: string | undefined): ChainPosition | undefined {
    if (ownRoute?.includes(`:${PREFIX}`) !== true) return undefined;
    const [body = '', given = ''] = (parseUri(ownRoute).user ?? '').slice(PREFIX.length).split('.');
    if (!this.#mac.isOf(body, given)) return undefined;
    const [which = '', after = '', end = '', call = '', set = '', servedUser = set] = Buffer.from(
      body,
      'base64url',
    )
      .toString()
      .split('\n');
    if (parseInt(end, 36) * 1000 < this.#clock.now()) return undefined;
    return {
      sessionCase: cases[Number(which)]!,
      after: Number(after),
      set,
      servedUser,
      ...(call === '' ? {} : { call }),
    };
  }
}
