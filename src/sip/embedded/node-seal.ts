import type { Clock } from '../../base/clock.js';
import { Mac } from '../../base/mac.js';
import type { SipRequest } from '../message/message.js';
import type { NextHop } from '../transaction/layer.js';

const FIELD = 'Parley-Node-Seal';
/** Time under way and difference of the nodes' clocks. */
const VALID_MS = 60_000;
const MARK_CHARACTERS = 22;

/** What a seal vouches for: whom the request is from and for, its way, and what the trust domain says of its sender. */
const sealed = [
  'Call-ID',
  'CSeq',
  'From',
  'Route',
  'P-Asserted-Identity',
  'P-Served-User',
  'P-Asserted-Service',
];

/** The other nodes of one server, and the key that all of them have. */
export interface NodeTrust {
  readonly key: Uint8Array;
  isNode(hop: Pick<NextHop, 'address' | 'port'>): boolean;
}

/**
 * One node of a server vouches to another for a request that it has judged, so that no address need be trusted: phones may
 * live on the same machine, and a source address can be made up. The field goes from node to node alone.
 */
export class NodeSeal {
  readonly #trust: NodeTrust;
  readonly #mac: Mac;
  readonly #clock: Clock;

  constructor(trust: NodeTrust, clock: Clock) {
    this.#trust = trust;
    this.#mac = new Mac(trust.key, MARK_CHARACTERS);
    this.#clock = clock;
  }

  /** Seals a request, complete but for Via, that goes to another node. */
  put(request: SipRequest, hop: NextHop): void {
    if (!this.#trust.isNode(hop)) return;
    const time = this.#clock.now().toString(36);
    request.headers.set(FIELD, `${time}.${this.#mac.of(sealedText(request, time))}`);
  }

  /** Takes the seal off a request that arrived. @returns whether another node put it on this very request just now. */
  take(request: SipRequest): boolean {
    const value = request.get(FIELD);
    if (value === undefined) return false;
    request.headers.remove(FIELD);
    const [time = '', given = ''] = value.split('.');
    if (!(Math.abs(parseInt(time, 36) - this.#clock.now()) <= VALID_MS)) return false;
    return this.#mac.isOf(sealedText(request, time), given);
  }
}

function sealedText(request: SipRequest, time: string): string {
  const parts = [time, request.method, request.uri];
  // as lists: how values are spread over lines is nothing that a sender has to keep
  for (const name of sealed) parts.push(JSON.stringify(request.headers.list(name)));
  return parts.join('\n');
}
