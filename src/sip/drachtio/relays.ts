import { randomInt } from 'node:crypto';
import { randomToken } from '../embedded/tokens.js';
import { Headers } from '../message/headers.js';
import { SipRequest, SipResponse } from '../message/message.js';
import type { Legs, FarSide, Relay } from './legs.js';
import type { AdminLink } from './admin-link.js';
import type { DrachtioClientTransaction } from './client-transaction.js';
import { localEndOf } from './flows.js';
import { octetsOf, responseFor, retagged } from './outgoing-text.js';
import type { Answering, DrachtioServerTransaction } from './server-transaction.js';

/** Methods that make dialogs at the server. */
const makesDialog: ReadonlySet<string> = new Set(['INVITE', 'SUBSCRIBE']);
/** RFC 3261 §8.1.1.5 */
const MAX_CSEQ = 2 ** 31 - 1;
const CSEQ_SPAN = 2 ** 24;
const RACK = /^(\d+)[ \t]+\d+[ \t]+(\S+)$/;
const OWN_MARK = /^<sips?:rr\./;

/**
 * What a server does to identifiers of dialogs, undone: towards callees a relayed request has a From tag of its own, the
 * caller knows one To tag, and requests inside the dialog come back as if this server had been in their route set.
 */
export class Relays implements Answering {
  readonly #legs: Legs;
  readonly answered: Answering['answered'];
  readonly refused: Answering['refused'];
  readonly forgotten: Answering['forgotten'];
  readonly #ended: (dialog: SipResponse) => void;

  /** @param user `ended`: a dialog that we accepted is not there, told by the 2xx that made it. */
  constructor(
    legs: Legs,
    user: Pick<Answering, 'answered' | 'refused' | 'forgotten'> & {
      readonly ended: (dialog: SipResponse) => void;
    },
  ) {
    this.#legs = legs;
    this.answered = user.answered;
    this.refused = user.refused;
    this.forgotten = user.forgotten;
    this.#ended = user.ended;
  }

  /** A request outside the server's dialogs as it goes out. */
  outgoing(request: SipRequest, link: AdminLink, relayed: boolean): SipRequest {
    if (!relayed || request.toTag !== undefined || !makesDialog.has(request.method)) return request;
    const callerTag = request.fromTag ?? '';
    let relay = this.#legs.relay(request.callId, callerTag);
    if (!relay) {
      relay = {
        link,
        callId: request.callId,
        callerTag,
        callerContact: request.contacts[0]?.uriText,
        nearTag: undefined,
        sides: [],
        current: undefined,
      };
      this.#legs.addRelay(relay);
    }
    const { cseq } = request;
    const side: FarSide = {
      tag: `${randomToken()}`,
      cseq: differentFrom(cseq.number),
      toTag: undefined,
      contact: undefined,
      marks: request.headers.list('Record-Route').filter((value) => OWN_MARK.test(value)),
      relay,
    };
    relay.sides.push(side);
    this.#sides.set(request, side);
    const copy = request.clone();
    copy.headers.set('From', retagged(request, 'from', side.tag));
    copy.headers.set('CSeq', `${side.cseq} ${cseq.method}`);
    return copy;
  }

  /** A request inside a dialog as it goes out: a PRACK names the CSeq that the callee knows. */
  inside(request: SipRequest): SipRequest {
    const rack = request.method === 'PRACK' ? RACK.exec(request.get('RAck') ?? '') : null;
    const side =
      rack &&
      this.#legs
        .relay(request.callId, request.fromTag ?? '')
        ?.sides.find((one) => one.toTag === request.toTag);
    if (!side) return request;
    const copy = request.clone();
    copy.headers.set('RAck', `${rack[1]!} ${side.cseq} ${rack[2]!}`);
    return copy;
  }

  /** A request that came, as it would have come without a server in between. */
  incoming(received: SipRequest): SipRequest {
    const { callId, toTag, fromTag } = received;
    if (toTag === undefined) return received;
    const fromCallee = this.#legs.side(callId, toTag);
    if (fromCallee) {
      const { relay } = fromCallee;
      return this.#restored(
        received,
        'to',
        retagged(received, 'to', relay.callerTag),
        relay.callerContact,
        fromCallee.marks,
      );
    }
    const relay = this.#legs.relay(callId, fromTag ?? '');
    const side = relay?.nearTag === toTag ? relay.current : undefined;
    if (!side) return this.#withOwnRack(received);
    const restored = this.#restored(
      received,
      'to',
      retagged(received, 'to', side.toTag ?? toTag),
      side.contact,
      [...side.marks].reverse(),
    );
    return this.#withOwnRack(restored);
  }

  /** A response that came, as it would have come: tags and Vias of the request that it answers. */
  answerOf({ request, link }: DrachtioClientTransaction, response: SipResponse): SipResponse {
    const headers = response.headers.clone();
    headers.remove('Via');
    headers.prepend('Via', request.headers.lines('Via'));
    headers.set('From', request.get('From') ?? '');
    headers.set('CSeq', request.get('CSeq') ?? '');
    if (request.toTag !== undefined) headers.set('To', request.get('To') ?? '');
    const side = this.#sides.get(request);
    if (side && side.marks.length > 0 && response.status < 300) {
      const upstream = request.headers.lines('Record-Route');
      headers.remove('Record-Route');
      const far = response.headers.lines('Record-Route');
      if (far.length + upstream.length > 0) headers.append('Record-Route', [...far, ...upstream]);
    }
    const restored = new SipResponse(
      response.status,
      response.reason,
      headers,
      response.body,
      response.charset,
    );
    const { toTag } = restored;
    if (
      makesDialog.has(request.method) &&
      request.toTag === undefined &&
      toTag !== undefined &&
      response.status < 300
    ) {
      const dialogTag = side?.tag ?? request.fromTag ?? '';
      this.#legs.add(request.callId, request.fromTag ?? '', toTag, {
        link,
        dialog: `${request.callId};from-tag=${dialogTag}`,
        method: request.method,
        beforeAck: request.method === 'INVITE' && response.status >= 200 ? [] : undefined,
      });
      if (side) {
        side.toTag = toTag;
        side.contact = restored.contacts[0]?.uriText ?? side.contact;
      }
    }
    return restored;
  }

  prepare(transaction: DrachtioServerTransaction, response: SipResponse): SipResponse {
    const { request, received, link, source } = transaction;
    const end = localEndOf(link, source)!;
    const { toTag } = response;
    let to: string | undefined;
    if (received.toTag === undefined && toTag !== undefined) {
      const relay = this.#legs.relay(request.callId, request.fromTag ?? '');
      if (relay && makesDialog.has(request.method)) this.#tell(relay, toTag, response.status);
      const tag = relay?.nearTag ?? toTag;
      to = retagged(response, 'to', tag);
      if (makesDialog.has(request.method) && response.status < 300)
        this.#legs.add(request.callId, toTag, request.fromTag ?? '', {
          link,
          dialog: `${request.callId};from-tag=${request.fromTag ?? ''}`,
          method: request.method,
        });
    }
    if (response.status >= 300 && request.method === 'INVITE' && request.toTag === undefined)
      this.#legs.end(request.callId);
    return responseFor(response, request.method, end, to);
  }

  /** The callee has answered a call that the caller gave up, or has with another: acknowledged and ended (RFC 3261 §9.1, §13.2.2.4). */
  tooLate(transaction: DrachtioServerTransaction, response: SipResponse): void {
    this.#endFar(transaction, response);
  }

  lost(transaction: DrachtioServerTransaction, response: SipResponse): void {
    if (!this.#endFar(transaction, response)) this.#ended(response);
  }

  /** @returns whether it was a callee behind us that had answered. */
  #endFar({ request }: DrachtioServerTransaction, response: SipResponse): boolean {
    const side = this.#legs
      .relay(request.callId, request.fromTag ?? '')
      ?.sides.find((one) => one.toTag === response.toTag);
    if (!side) return false;
    const { link, callId } = side.relay;
    const dialog = `${callId};from-tag=${side.tag}`;
    for (const method of ['ACK', 'BYE']) link.command(`sip||${dialog}`, octetsOf(inDialog(method)), () => {});
    this.#legs.endSide(side);
    return true;
  }

  readonly #sides = new WeakMap<SipRequest, FarSide>();

  #tell(relay: Relay, toTag: string, status: number): void {
    relay.nearTag ??= toTag;
    if (status < 300) relay.current = relay.sides.find((side) => side.toTag === toTag) ?? relay.current;
  }

  #restored(
    received: SipRequest,
    field: 'to' | 'from',
    value: string,
    target: string | undefined,
    marks: readonly string[],
  ): SipRequest {
    const copy = received.clone();
    copy.headers.set(field === 'to' ? 'To' : 'From', value);
    if (target !== undefined) copy.uri = target;
    if (marks.length > 0) copy.headers.prepend('Route', marks);
    return copy;
  }

  /** RAck as the role knows it: the server has numbered the provisional response anew. */
  #withOwnRack(request: SipRequest): SipRequest {
    if (request.method !== 'PRACK') return request;
    const match = /^(\d+)([ \t].*)$/.exec(request.get('RAck') ?? '');
    const numbers = this.#numbers.get(request.callId);
    if (!match || !numbers || numbers.theirs !== Number(match[1])) return request;
    const copy = request.clone();
    copy.headers.set('RAck', `${numbers.ours}${match[2]!}`);
    return copy;
  }

  readonly #numbers = new Map<string, { readonly ours: number; readonly theirs: number | undefined }>();

  /** The server has given an RSeq of its own to a reliable provisional response. */
  numbered(callId: string, ours: number, theirs: number): void {
    this.#numbers.set(callId, { ours, theirs });
    if (this.#numbers.size > 10_000) this.#numbers.delete(this.#numbers.keys().next().value ?? '');
  }
}

/** Whoever else forwards the request, this process or another one behind the same server, draws another number. */
function differentFrom(cseq: number): number {
  const further = randomInt(1, CSEQ_SPAN);
  return cseq + further <= MAX_CSEQ ? cseq + further : cseq - further;
}

const inDialog = (method: string): SipRequest => new SipRequest(method, 'sip:placeholder', new Headers());
