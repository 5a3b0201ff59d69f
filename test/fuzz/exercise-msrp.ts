import assert from 'node:assert/strict';
import { ParleyError } from '../../src/base/errors.js';
import { innermostCpim, parseCpim, rewriteCpimHead } from '../../src/msrp/cpim/index.js';
import { parseImdn } from '../../src/msrp/imdn.js';
import { parseIsComposing } from '../../src/msrp/is-composing.js';
import {
  formatByteRange,
  formatEndLine,
  formatRequestHead,
  MessageParser,
  type MessageHead,
} from '../../src/msrp/message/index.js';
import { parseMsrpMedia, rewriteMsrpMedia } from '../../src/msrp/sdp/index.js';
import { makeMsrpUri, parseMsrpPath, sameMsrpUri } from '../../src/msrp/uri.js';
import { FuzzNode, settled } from './prepared-msrp.js';

/**
 * Does with one input what a node does with what peers send, and holds what must be true of every input: nothing but
 * ParleyError is thrown, a stream reads the same however it arrives, what was read is written so that it reads the same
 * again, what the node writes is MSRP, a request is answered once at most, and when all sessions have ended nothing is held.
 * @throws anything when a rule is broken.
 */
export async function exercise(input: Buffer): Promise<void> {
  const messages = cutsAlike(input);
  for (const { head } of messages) readsAgain(head);
  asCpim(input);
  for (const { body } of messages) if (body !== undefined) asCpim(Buffer.from(body, 'latin1'));
  asDocument(input);
  await atNode(input);
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

interface Parsed {
  readonly head: MessageHead;
  body: string | undefined;
  flag: string | undefined;
}

/** What a parser finds until it refuses. */
function parse(pieces: readonly Buffer[]): { messages: Parsed[]; refused: boolean; inMessage: boolean } {
  const messages: Parsed[] = [];
  const parser = new MessageParser({
    head: (head, hasBody) => messages.push({ head, body: hasBody ? '' : undefined, flag: undefined }),
    body: (piece) => {
      assert(piece.length > 0, 'no empty piece');
      const message = messages.at(-1)!;
      message.body += piece.toString('latin1');
    },
    end: (flag) => (messages.at(-1)!.flag = flag),
  });
  const refused = may(() => {
    for (const piece of pieces) parser.push(piece);
    return false;
  });
  return { messages, refused: refused ?? true, inMessage: parser.inMessage };
}

function cutsAlike(input: Buffer): Parsed[] {
  const whole = parse([input]);
  const step = 1 + (input.length % 13);
  const pieces = Array.from({ length: Math.ceil(input.length / step) }, (_, i) =>
    input.subarray(i * step, (i + 1) * step),
  );
  const cut = parse(pieces);
  // what was held back when a refusal came may be handed on or not; messages that ended are the same
  assert.deepEqual(ended(cut.messages), ended(whole.messages));
  if (!whole.refused) assert(!cut.refused, 'refused in pieces, not whole');
  return whole.messages;
}

const ended = (messages: readonly Parsed[]) => messages.filter(({ flag }) => flag !== undefined);

function readsAgain(head: MessageHead): void {
  const range = may(() => head.range());
  if (range)
    assert.deepEqual(
      may(() => headOf(rangeField(range))?.range()),
      range,
    );
  for (const path of [head.toPath, head.fromPath]) {
    for (const uri of may(() => parseMsrpPath(path)) ?? []) {
      assert(sameMsrpUri(uri, uri));
      const { host, port, secure, sessionId, transport } = uri;
      if (port === undefined || sessionId === undefined || host.includes('%')) continue;
      assert(
        sameMsrpUri(makeMsrpUri({ host, port, secure, sessionId, transport }), uri),
        'a URI made anew is the same',
      );
    }
  }
}

const rangeField = ({
  start,
  end,
  total,
}: {
  start: number;
  end?: number | undefined;
  total?: number | undefined;
}) => `Byte-Range: ${formatByteRange(start, end, total)}\r\n`;

function headOf(fields: string): MessageHead | undefined {
  const text = formatRequestHead('t0000001', 'SEND', 'a', 'b', fields) + formatEndLine('t0000001', '$');
  return parse([Buffer.from(text, 'latin1')]).messages[0]?.head;
}

function asCpim(octets: Buffer): void {
  const message = may(() => parseCpim(octets));
  if (!message) return;
  const { head, content } = message;
  may(() => [head.from, head.to]);
  const again = parseCpim(Buffer.concat([rewriteCpimHead(head, {}), content]));
  assert.deepEqual(again.head.fields, head.fields);
  assert(again.content.equals(content), 'content octet for octet');
  assert.equal(again.head.mediaType, head.mediaType);
  may(() => innermostCpim(octets));
}

function asDocument(octets: Buffer): void {
  may(() => parseImdn(octets));
  may(() => parseIsComposing(octets));
  const media = may(() => parseMsrpMedia(octets));
  if (!media || media.path.length === 0) return;
  const own = { path: media.path.slice(0, 1), setup: 'passive', cema: true } as const;
  const rewritten = rewriteMsrpMedia(octets, own);
  const again = parseMsrpMedia(rewritten);
  assert.deepEqual([again.setup, again.cema, again.path.length], ['passive', true, 1]);
  assert.deepEqual(again.acceptTypes, media.acceptTypes);
}

async function atNode(input: Buffer): Promise<void> {
  const node = new FuzzNode();
  await node.ready();
  const at = input.indexOf('\0\0');
  const parts = at < 0 ? [input, Buffer.alloc(0)] : [input.subarray(0, at), input.subarray(at + 2)];
  const asked = parts.map((part) => parse([part]));
  for (const wire of node.wires) wire.written = '';
  for (const [i, wire] of node.wires.entries()) {
    const part = parts[i]!;
    const cut = (input.length * 7) % (part.length + 1);
    wire.choked = input.length % 5 === i;
    if (cut > 0) wire.push(Buffer.from(part.subarray(0, cut)));
    await settled();
    if (cut < part.length) wire.push(Buffer.from(part.subarray(cut)));
    await settled();
  }
  for (const [i, wire] of node.wires.entries()) {
    wire.unchoke();
    await settled();
    // where the peer has not ended its own message, an answer would be a part of that
    if (!asked[i]!.inMessage) {
      for (const { head } of parse([Buffer.from(wire.written, 'latin1')]).messages)
        if (head.method === 'SEND') wire.push(answer(head, [200, 200, 413, 481][(input.length + i) % 4]!));
    }
    await settled();
    isSound(wire.written, asked[i]!.messages);
  }
  await node.close();
}

function answer({ transactionId: id, toPath, fromPath }: MessageHead, status: number): Buffer {
  return Buffer.from(
    `MSRP ${id} ${status} X\r\nTo-Path: ${fromPath}\r\nFrom-Path: ${toPath}\r\n-------${id}$\r\n`,
    'latin1',
  );
}

/** What the node wrote is MSRP, and no request has two answers. */
function isSound(written: string, asked: readonly Parsed[]): void {
  const { messages, refused } = parse([Buffer.from(written, 'latin1')]);
  assert(!refused, 'the node writes what is not MSRP');
  const open = new Map<string, number>();
  for (const { head } of asked)
    if (head.method !== undefined) open.set(head.transactionId, (open.get(head.transactionId) ?? 0) + 1);
  for (const { head } of messages) {
    if (head.method !== undefined) continue;
    const left = (open.get(head.transactionId) ?? 0) - 1;
    assert(left >= 0, `an answer too many to ${head.transactionId}`);
    open.set(head.transactionId, left);
  }
}
