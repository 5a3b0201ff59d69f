import assert from 'node:assert/strict';
import { ParleyError } from '../../src/base/errors.js';
import { parseCredentials } from '../../src/sip/auth/credentials.js';
import { parseAuthenticationInfo, parseChallenge } from '../../src/sip/auth/challenge.js';
import { parseAddress, writeAddress, type Address } from '../../src/sip/message/address.js';
import { acceptsType, parseContentId, parseDisposition } from '../../src/sip/message/content.js';
import { parseDate, writeDate } from '../../src/sip/message/date.js';
import { parseEvent, parseSubscriptionState, writeSubscriptionState } from '../../src/sip/message/event.js';
import { splitList } from '../../src/sip/message/lexer.js';
import { StreamFramer, type Frame } from '../../src/sip/message/framer.js';
import type { SipMessage } from '../../src/sip/message/message.js';
import { buildMultipart, leafParts, parseMultipart } from '../../src/sip/message/multipart.js';
import { defaultLimits, parseDatagram } from '../../src/sip/message/parse.js';
import { parseReasons, writeReason } from '../../src/sip/message/reason.js';
import { parseReferTo } from '../../src/sip/message/refer-to.js';
import { parseRAck, parseRSeq, writeRAck } from '../../src/sip/message/reliability.js';
import { parseReplaces, writeReplaces } from '../../src/sip/message/replaces.js';
import { serialize } from '../../src/sip/message/serialize.js';
import { parseMinSE, parseSessionExpires, writeSessionExpires } from '../../src/sip/message/session-timer.js';
import { parseExpires, retryAfterSeconds } from '../../src/sip/message/times.js';
import { parseUri, sameUri, type SipUri } from '../../src/sip/message/uri.js';
import { inspectAsProxy, inspectAsUas, refuseAnswer } from '../../src/sip/message/validate.js';
import { isUnicastSentBy, parseVia, writeVia } from '../../src/sip/message/via.js';
import { parseWarning, writeWarning } from '../../src/sip/message/warning.js';

/**
 * Does with one input all that the stack could do with it, and holds what must be true of every input: nothing but
 * ParleyError is thrown, what was read is written so that it reads the same again, and a stream is cut the same
 * however it arrives.
 * @throws anything when a rule is broken.
 */
export function exercise(input: Buffer): void {
  const parsed = parseDatagram(input);
  if (parsed.kind === 'malformed') {
    assert(/^\P{Cc}{1,120}$/u.test(parsed.why), 'a reason phrase');
    for (const [, name, value] of parsed.headers ?? []) assert(!/[\r\n]/.test(name + value), 'clean fields');
  } else {
    readAll(parsed.message);
    survivesWriting(parsed.message);
  }
  if (input.length % 4 === 0) cutsAlike(input);
}

/** Runs what may refuse its input, and nothing else. */
function may<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof ParleyError) return undefined;
    throw error;
  }
}

/** Decodes, writes, decodes and writes again; what was written must be the same. */
function reads<T>(text: string, read: (text: string) => T, write: (value: T) => string): void {
  const value = may(() => read(text));
  if (value === undefined) return;
  const written = write(value);
  assert.equal(write(read(written)), written);
}

const seconds = (text: string): unknown => parseExpires(text);

const decoders = new Map<string, (text: string, message: SipMessage) => void>(
  Object.entries({
    via: (text) => {
      reads(text, parseVia, writeVia);
      const via = may(() => parseVia(text));
      if (via) isUnicastSentBy(via);
    },
    from: checkAddress,
    to: checkAddress,
    contact: checkAddress,
    route: checkAddress,
    'record-route': checkAddress,
    path: checkAddress,
    'p-asserted-identity': checkAddress,
    'refer-to': (text) => may(() => parseReferTo(text)),
    accept: (text) => may(() => acceptsType([text], 'application/sdp')),
    date: (text) => {
      const date = parseDate(text);
      if (date !== undefined) assert.equal(parseDate(writeDate(date)), date);
    },
    expires: seconds,
    'retry-after': retryAfterSeconds,
    warning: (text) => reads(text, parseWarning, writeWarning),
    reason: (text) =>
      reads(
        text,
        (value) => parseReasons([value]),
        (all) => all.map(writeReason).join(', '),
      ),
    'session-expires': (text) => reads(text, parseSessionExpires, writeSessionExpires),
    'min-se': (text) => reads(text, parseMinSE, String),
    rseq: (text) => reads(text, parseRSeq, String),
    rack: (text) => reads(text, parseRAck, writeRAck),
    replaces: (text) => reads(text, parseReplaces, writeReplaces),
    event: (text) => may(() => parseEvent(text)),
    'subscription-state': (text) => reads(text, parseSubscriptionState, writeSubscriptionState),
    'content-disposition': (text) => may(() => parseDisposition(text)),
    'content-id': (text) => may(() => parseContentId(text)),
    'content-type': checkBody,
    authorization: (text) => may(() => parseCredentials(text)),
    'www-authenticate': (text) => may(() => parseChallenge(text)),
    'authentication-info': (text) => may(() => parseAuthenticationInfo(text)),
  } satisfies Record<string, (text: string, message: SipMessage) => void>),
);

function readAll(message: SipMessage): void {
  // what the parser let through has been decoded by it: these must not throw
  void [message.via, message.from, message.to, message.cseq, message.callId, message.fromTag, message.toTag];
  may(() => message.contacts.map(({ uri }) => uri));
  for (const [key, , value] of message.headers) {
    const decode = decoders.get(key);
    if (decode === undefined) continue;
    decode(value, message);
    const parts = splitList(value);
    if (parts.length > 1) for (const part of parts) decode(part, message);
  }
  if (!('requestUri' in message)) return;
  const request = message as SipMessage & Parameters<typeof inspectAsProxy>[0];
  checkUri(request.requestUri);
  const able = { schemes: new Set(['sip']), extensions: new Set(['path']) };
  may(() => inspectAsProxy(request, able));
  may(() => inspectAsUas(request, { ...able, methods: new Set(['INVITE']), contentTypes: new Set() }));
  may(() => refuseAnswer(request, 'application/sdp'));
}

function checkAddress(text: string): void {
  reads(
    text,
    (value) => parts(parseAddress(value, 'field')),
    ({ uriText, params, displayName }) => writeAddress(uriText, params, displayName),
  );
  const address = may(() => parseAddress(text, 'field'));
  const uri = address && may(() => address.uri);
  if (uri) checkUri(uri);
}

const parts = ({ uriText, params, displayName }: Address) => ({ uriText, params, displayName });

function checkUri(uri: SipUri): void {
  const again = parseUri(uri.toString());
  assert.equal(again.toString(), uri.toString());
  assert(sameUri(uri, again) && sameUri(again, uri), 'a URI equals itself');
  assert.equal(uri.clone().toString(), uri.toString());
}

function checkBody(type: string, message: SipMessage): void {
  const found = may(() => parseMultipart(message.body, type));
  if (!found) return;
  leafParts(found);
  const wanted = found.map((part) => ({ headers: {}, body: part.body }));
  const built = may(() => buildMultipart(wanted, 'multipart/mixed', 'another'));
  if (!built) return;
  const again = parseMultipart(built.body, built.contentType);
  assert.deepEqual(
    again.map((part) => Buffer.from(part.body)),
    wanted.map((part) => Buffer.from(part.body)),
  );
}

function survivesWriting(message: SipMessage): void {
  if (message.headers.length === defaultLimits.headerCount) return; // there may be no room for Content-Length
  const again = parseDatagram(serialize(message));
  assert(again.kind !== 'malformed', `what was written is ${again.kind === 'malformed' ? again.why : ''}`);
  assert.equal(again.message.startLine(), message.startLine());
  assert.equal(fields(again.message), fields(message));
  assert(Buffer.from(again.message.body).equals(message.body), 'the same body');
}

function fields(message: SipMessage): string {
  let text = '';
  for (const [key, name, value] of message.headers)
    if (key !== 'content-length') text += `${key}|${name}|${value}\n`;
  return text;
}

function cutsAlike(input: Buffer): void {
  const whole = summary(new StreamFramer().push(input));
  const framer = new StreamFramer();
  const pieces: Frame[] = [];
  // uneven pieces that depend on the input alone
  for (
    let pos = 0, size = 1 + (input.length % 7);
    pos < input.length;
    pos += size, size = (size * 5) % 251 || 1
  )
    pieces.push(...framer.push(Buffer.from(input.subarray(pos, pos + size))));
  assert.equal(summary(pieces), whole);
}

/** Frames but for keep-alives, whose number depends on how the stream arrives. */
function summary(frames: Frame[]): string {
  let text = '';
  for (const frame of frames) {
    if (frame.kind === 'ping' || frame.kind === 'pong') continue;
    if (frame.kind === 'malformed') text += `${frame.status} ${frame.why} ${frame.close}\n`;
    else text += `${frame.message.startLine()} ${Buffer.from(frame.message.body).toString('latin1')}\n`;
  }
  return text;
}
