import { parseAddress, writeAddress } from '../message/address.js';
import { Headers } from '../message/headers.js';
import { SipRequest, SipResponse, type SipMessage } from '../message/message.js';
import { serialize } from '../message/serialize.js';
import type { LocalEnd } from '../embedded/wire.js';

/** Longest Request-URI with its header part that the server takes. */
export const MAX_URI = 1_000;

/** Fields that the server writes itself: those of a message outside dialogs, of a request inside one, of a response. */
const always = ['via', 'route', 'record-route', 'rseq', 'content-length'];
const inDialog = new Set([...always, 'from', 'to', 'call-id', 'cseq']);
const inResponse = new Set([...always, 'from', 'to', 'call-id']);
const outside = new Set(always);

/** Methods whose messages carry the Contact that later requests of a dialog go to. */
const withContact: ReadonlySet<string> = new Set(['INVITE', 'SUBSCRIBE', 'NOTIFY', 'UPDATE', 'REFER']);

/**
 * A request outside the server's dialogs. Its Routes go into the header part of the Request-URI, the only place from which
 * the server takes them.
 */
export function requestOutside(request: SipRequest, end: LocalEnd, relayed: boolean): SipRequest {
  const routes = request.headers.list('Route').join(', ');
  const uri = routes === '' ? request.uri : `${request.uri}?Route=${escaped(routes)}`;
  return finished(
    new SipRequest(request.method, uri, kept(request, outside), request.body, request.charset),
    end,
    relayed,
  );
}

/** A request inside one of the server's dialogs, which knows tags, route set and CSeq. */
export function requestInside(request: SipRequest, end: LocalEnd, relayed: boolean): SipRequest {
  return finished(
    new SipRequest(request.method, request.uri, kept(request, inDialog), request.body, request.charset),
    end,
    relayed,
  );
}

/** @param to the To field with our tag, where the server is to take that tag. */
export function responseFor(
  response: SipResponse,
  method: string,
  end: LocalEnd,
  to: string | undefined,
): SipResponse {
  const headers = kept(response, inResponse);
  if (to !== undefined) headers.append('To', to);
  const built = new SipResponse(response.status, response.reason, headers, response.body, response.charset);
  if (response.status < 300 && withContact.has(method)) anchorContact(built, end);
  return built;
}

export function octetsOf(message: SipMessage): Buffer {
  return serialize(message);
}

/** From or To with another tag. */
export function retagged(message: SipMessage, field: 'from' | 'to', tag: string): string {
  const { uriText, params, displayName } = message[field];
  return writeAddress(
    uriText,
    new Map([...params].filter(([name]) => name !== 'tag')).set('tag', tag),
    displayName,
  );
}

function finished(request: SipRequest, end: LocalEnd, relayed: boolean): SipRequest {
  if (relayed && withContact.has(request.method)) anchorContact(request, end);
  return request;
}

/**
 * The Contact of somebody else as one that leads to the server, with its features kept. A server can neither put itself
 * into the route set of a response nor leave the Contact of a request alone, so a relayed dialog is anchored at it.
 */
function anchorContact(message: SipMessage, end: LocalEnd): void {
  const text = message.headers.list('Contact')[0];
  if (text === undefined) return;
  const { uri, params } = parseAddress(text, 'Contact');
  const user = uri.user === undefined ? '' : `${uri.user}@`;
  const transport = end.protocol === 'udp' ? '' : `;transport=${end.protocol}`;
  message.headers.set('Contact', writeAddress(`sip:${user}${end.host}:${end.port}${transport}`, params));
}

function kept(message: SipMessage, dropped: ReadonlySet<string>): Headers {
  const headers = new Headers();
  for (const [key, name, value] of message.headers)
    if (!dropped.has(key)) headers.push(key, name, rewritten.has(key) ? spared(value) : value);
  return headers;
}

/** Fields in which the server takes `@localhost` for a name of its own, and inside a dialog loses them and all behind them. */
const rewritten: ReadonlySet<string> = new Set(['from', 'to', 'contact', 'p-asserted-identity']);

/** The same host written in capitals is left alone; case does not matter in a host (RFC 3261 §19.1.4). */
function spared(value: string): string {
  return value.includes('@localhost') ? value.replace(/@localhost(?=$|[:;?>, \t])/g, '@LOCALHOST') : value;
}

/** Escaped for the header part of a URI; what needs no escape is left, since the length is limited. */
function escaped(text: string): string {
  return text.replace(/[^A-Za-z0-9\-_.!~*'()[\]/?:+$]/gu, (character) => encodeURIComponent(character));
}
