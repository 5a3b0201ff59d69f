import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import {
  MsrpNegotiation,
  splice,
  streamedMessages,
  wholeMessages,
  type EndpointOptions,
  type MsrpEndpoint,
  type MsrpSession,
  type SessionOptions,
  type Splice,
  type SpliceOptions,
} from '../../../src/msrp/session/index.js';
import { parseMsrpMedia } from '../../../src/msrp/sdp/index.js';
import { anything, counting, eventually, meanwhile, octets, startEndpoint } from '../tools/endpoints.js';
import { Line, lineOffer, linePath } from '../tools/line.js';
import { TcpProxy } from '../../tools/tcp-proxy.js';

/** A session of `client` with one of `ours`. */
function leg(
  ours: MsrpEndpoint,
  client: MsrpEndpoint,
  options: SessionOptions = {},
): [MsrpSession, MsrpSession] {
  const offering = new MsrpNegotiation(client.createSession(options), anything);
  const answering = new MsrpNegotiation(ours.createSession(), anything);
  offering.accept(answering.answer(offering.offer()));
  return [offering.session, answering.session];
}

async function relayed(
  ofA: SessionOptions,
  ofB: SessionOptions,
  options: SpliceOptions = {},
): Promise<{ a: MsrpSession; b: MsrpSession; ours: MsrpEndpoint; nearB: MsrpSession; joint: Splice }> {
  const [ours, one, other] = [await startEndpoint(), await startEndpoint(), await startEndpoint()];
  const [a, nearA] = leg(ours.endpoint, one.endpoint, ofA);
  const [b, nearB] = leg(ours.endpoint, other.endpoint, ofB);
  return { a, b, ours: ours.endpoint, nearB, joint: splice(nearA, nearB, options) };
}

/** A client on each side that writes by hand, both connected. */
async function byHand(options: Partial<EndpointOptions> = {}) {
  const { endpoint, port } = await startEndpoint(options);
  const sides = ['left', 'right'].map((name) => {
    const path = linePath.replace('peer', name);
    const negotiation = new MsrpNegotiation(endpoint.createSession(), anything);
    negotiation.answer(lineOffer(path));
    return { path, session: negotiation.session, line: new Line(port) };
  });
  const [left, right] = [sides[0]!, sides[1]!];
  const joint = splice(left.session, right.session);
  for (const { line, session, path } of sides) {
    const id = line.request('SEND', session.uri.text, ['Message-ID: bind'], undefined, '$', path);
    expect(await line.answerOf(id)).toBe(200);
  }
  const send = (range: string, body: string, flag = '$', more: string[] = []): string =>
    left.line.request(
      'SEND',
      left.session.uri.text,
      ['Message-ID: m1', `Byte-Range: ${range}`, ...more, 'Content-Type: text/plain'],
      body,
      flag,
      left.path,
    );
  const answer = (id: string, status: number): boolean =>
    right.line.socket.write(
      `MSRP ${id} ${status} X\r\nTo-Path: ${right.session.uri.text}\r\nFrom-Path: ${right.path}\r\n-------${id}$\r\n`,
    );
  return { left, right, joint, send, answer, port };
}

describe('two sessions joined', () => {
  it('pass text and a file of 20 MB with their reports, and count them', async () => {
    let received = 0;
    let wrong = 0;
    const file = octets(20_000_000);
    const receiver = streamedMessages(30_000_000, async (_message, pieces) => {
      for await (const piece of pieces) {
        if (!piece.equals(file.subarray(received, received + piece.length))) wrong++;
        received += piece.length;
      }
      return 200;
    });
    const heard: string[] = [];
    const ears = wholeMessages(1000, (message) => {
      heard.push(`${message.messageId} ${message.octets.toString()}`);
      return 200;
    });
    const { a, b, joint } = await relayed({ receiver: ears }, { receiver });
    const sending = a.send({ contentType: 'image/png', content: file, successReport: true });
    expect(
      await b.send({ contentType: 'text/plain', content: Buffer.from('hi'), messageId: 'four' }).sent,
    ).toBe(200);
    expect(await sending.reported).toBe(200);
    expect([received, wrong, heard]).toEqual([20_000_000, 0, ['four hi']]);
    expect(joint.forth).toEqual({ messages: 1, octets: 20_000_000, refused: 0 });
    expect(joint.back).toEqual({ messages: 1, octets: 2, refused: 0 });
  });

  it('stop the sender while the receiver does not read, and hold little of the message', async () => {
    let go = (): void => {};
    const gate = new Promise<void>((resolve) => (go = resolve));
    const receiver = counting(
      streamedMessages(60_000_000, async (_message, pieces) => {
        await gate;
        for await (const piece of pieces) void piece;
        return 200;
      }),
    );
    let most = 0;
    const { a, nearB, ours, joint } = await relayed(
      {},
      { receiver },
      {
        observe: () => ({
          piece: () => (most = Math.max(most, nearB.lane.pending)),
          end: () => {},
        }),
      },
    );
    const sending = a.send({
      contentType: 'a/b',
      content: octets(40_000_000),
      failureReport: 'no',
      successReport: true,
    });
    await eventually(() => receiver.octets > 262_144 && nearB.lane.full);
    await meanwhile(ours);
    const stoppedAt = joint.forth.octets;
    await meanwhile(ours);
    expect(joint.forth.octets).toBe(stoppedAt);
    expect(receiver.octets).toBeLessThan(262_144 + 131_072);
    go();
    expect(await sending.reported).toBe(200);
    expect(receiver.octets).toBe(40_000_000);
    // a lane, and the read of a socket that filled it
    expect(most).toBeLessThan(262_144 + 131_072 + 8192);
  });

  it('stop a sender of chunks without content as well, whose failures nobody reports', async () => {
    const { left, right } = await byHand();
    right.line.socket.pause();
    const fields = ['Failure-Report: no', 'Content-Type: a/b'];
    const say = (name: string): string =>
      left.line.request(
        'SEND',
        left.session.uri.text,
        [`Message-ID: ${name}`, ...fields],
        '',
        '$',
        left.path,
      );
    for (let i = 0; i < 60_000; i++) say(`m${i}`);
    const { lane } = right.session;
    await eventually(() => lane.full);
    expect(left.line.socket.writableLength).toBeGreaterThan(0);
    // a lane, and the heads of one read of the socket
    expect(lane.pending).toBeLessThan(262_144 + 262_144);
    right.line.socket.resume();
    await eventually(() => right.line.text.slice(-1000).includes('Message-ID: m59999\r'));
    expect(lane.pending).toBe(0);
  });

  it('answer a chunk as its receiver does', async () => {
    const { left, right, send, answer, joint } = await byHand();
    const first = send('1-3/6', 'abc', '+', ['X-Field: y']);
    const [, id] = await right.line.see(
      /MSRP (\S+) SEND\r\n(?:.+\r\n)*Byte-Range: 1-(?:3|\*)\/6\r\nX-Field: y\r\nContent-Type: text\/plain\r\n\r\nabc\r\n-------\S+\+/,
    );
    expect(left.line.text).not.toContain(first);
    answer(id!, 200);
    expect(await left.line.answerOf(first)).toBe(200);
    const second = send('4-6/6', 'def');
    const [, other] = await right.line.see(/MSRP (\S+) SEND\r\n(?:.+\r\n)*Byte-Range: 4-(?:6|\*)\/6\r\n/);
    answer(other!, 415);
    expect(await left.line.answerOf(second)).toBe(415);
    expect(joint.forth).toEqual({ messages: 0, octets: 6, refused: 1 });
  });

  it('answer in the place of a receiver that takes long, and report its failure afterwards', async () => {
    const clock = new VirtualClock();
    const { left, right, send, answer } = await byHand({ clock });
    const id = send('1-3/3', 'abc');
    const [, onward] = await right.line.see(/MSRP (\S+) SEND\r\n(?:.+\r\n)*Message-ID: m1/);
    clock.advance(26_000);
    expect(await left.line.answerOf(id)).toBe(200);
    answer(onward!, 413);
    await left.line.see(/REPORT\r\n(?:.+\r\n)*Byte-Range: 1-3\/3\r\nStatus: 000 413/);
  });

  it('pass reports with the paths of the other side', async () => {
    const { left, right } = await byHand();
    const fields = ['Message-ID: m7', 'Byte-Range: 1-9/9', 'Status: 000 200 OK'];
    right.line.request('REPORT', right.session.uri.text, fields, undefined, '$', right.path);
    const [seen] = await left.line.see(/MSRP \S+ REPORT\r\n(?:.+\r\n)*?Status: 000 200 OK\r\n/);
    expect(seen).toContain(
      `To-Path: ${left.path}\r\nFrom-Path: ${left.session.uri.text}\r\nMessage-ID: m7\r\n`,
    );
  });

  it('tell the sender when the receiver is lost with what was not answered, and stays away', async () => {
    const clock = new VirtualClock();
    const { left, right, send } = await byHand({ clock });
    const [soon, late] = [send('1-3/3', 'abc', '$', ['Failure-Report: partial']), send('1-3/3', 'abc')];
    await right.line.see(/Message-ID: m1[^]*Message-ID: m1/);
    right.line.socket.destroy();
    // of the first nobody would say what has arrived
    expect(await left.line.answerOf(soon)).toBe(408);
    await eventually(() => !right.session.isBound);
    await clock.advanceAsync(29_000, 1000);
    expect(await left.line.answerOf(late)).toBe(200);
    await clock.advanceAsync(2_000, 1000);
    await left.line.see(/MSRP \S+ REPORT\r\n(?:.+\r\n)*Byte-Range: 1-3\/3\r\nStatus: 000 408/);
  });

  it('go on with a receiver that was lost at the first octet that it had not answered for', async () => {
    const { left, right, joint, send, port } = await byHand({ limits: { chunkOctets: 4 } });
    // in pieces, so that each has its chunk on the other side
    const id = 'line9999';
    const head = `MSRP ${id} SEND\r\nTo-Path: ${left.session.uri.text}\r\nFrom-Path: ${left.path}\r\nMessage-ID: m1\r\n`;
    left.line.socket.write(`${head}Byte-Range: 1-*/14\r\nContent-Type: text/plain\r\n\r\n`);
    const seen = async (line: Line, from: number, body: string): Promise<string> => {
      const chunk = `MSRP (\\S+) SEND\r\n(?:[^\r]+\r\n)*Byte-Range: ${from}-[0-9*]+/14\r\n(?:[^\r]+\r\n)*\r\n${body}`;
      return (await line.see(new RegExp(chunk)))[1]!;
    };
    left.line.socket.write('abcd');
    const first = await seen(right.line, 1, 'abcd');
    left.line.socket.write('efgh');
    await seen(right.line, 5, 'efgh');
    right.line.answer(first, 200, right.session.uri.text, right.path);
    await eventually(() => joint.forth.octets === 8);
    await right.line.see(/efgh/);
    right.line.socket.destroy();
    await eventually(() => !right.session.isBound);
    // what comes meanwhile waits behind it
    left.line.socket.write('ijkl');
    await eventually(() => joint.forth.octets === 12);
    const again = new Line(port);
    again.request('SEND', right.session.uri.text, ['Message-ID: bind'], undefined, '$', right.path);
    const second = await seen(again, 5, 'efgh');
    const third = await seen(again, 9, 'ijkl');
    left.line.socket.write(`mn\r\n-------${id}$\r\n`);
    const last = await seen(again, 13, 'mn');
    for (const part of [second, third, last]) again.answer(part, 200, right.session.uri.text, right.path);
    expect(await left.line.answerOf(id)).toBe(200);
    expect(joint.forth).toEqual({ messages: 1, octets: 14, refused: 0 });
    // and the next message as ever
    const next = send('1-2/2', 'hi', '$');
    const [, onward] = await again.see(/MSRP (\S+) SEND\r\n(?:.+\r\n)*\r\nhi\r\n/);
    again.answer(onward!, 200, right.session.uri.text, right.path);
    expect(await left.line.answerOf(next)).toBe(200);
  });

  it('go on with a receiver that names another path, and do not give up there what they had begun', async () => {
    const { left, right, joint, port } = await byHand({ limits: { chunkOctets: 4 } });
    const id = 'line9998';
    left.line.socket.write(
      `MSRP ${id} SEND\r\nTo-Path: ${left.session.uri.text}\r\nFrom-Path: ${left.path}\r\nMessage-ID: m1\r\nByte-Range: 1-*/8\r\nContent-Type: text/plain\r\n\r\nabcd`,
    );
    await right.line.see(/\r\n\r\nabcd/);
    const path = linePath.replace('peer', 'elsewhere');
    right.session.connect(parseMsrpMedia(lineOffer(path)), false);
    await right.line.see(/\r\n\r\nabcd\r\n-------\S+\+/);
    const elsewhere = new Line(port);
    elsewhere.request('SEND', right.session.uri.text, ['Message-ID: bind'], undefined, '$', path);
    left.line.socket.write(`efgh\r\n-------${id}$\r\n`);
    const again = await elsewhere.take(
      /SEND\r\nTo-Path: \S+elsewhere;tcp\r\n(?:[^\r]+\r\n)*Byte-Range: 1-\S+\r\n/,
    );
    expect(again).toContain('\r\n\r\nabcd\r\n-------');
    const rest = await elsewhere.take(/SEND\r\n(?:[^\r]+\r\n)*Byte-Range: 5-\S+\r\n/);
    for (const chunk of [again, rest])
      elsewhere.answer(/^MSRP (\S+)/.exec(chunk)![1]!, 200, right.session.uri.text, path);
    expect(await left.line.answerOf(id)).toBe(200);
    expect(joint.forth.messages).toBe(1);
  });

  it('keep no more for a lost receiver than the limit says: beyond it the sender hears of the loss', async () => {
    const { left, right, send } = await byHand({ limits: { resumeOctets: 1000 } });
    const id = send('1-2000/2000', 'x'.repeat(2000));
    await right.line.see(/x{2000}/);
    right.line.socket.destroy();
    expect(await left.line.answerOf(id)).toBe(408);
  });

  it('bring a file of 20 MB through whole, though the way to its receiver breaks again and again', async () => {
    const [ours, one, other] = [await startEndpoint(), await startEndpoint(), await startEndpoint()];
    const way = await TcpProxy.start(other.port);
    const file = octets(20_000_000);
    let received = 0;
    let wrong = 0;
    let cuts = 0;
    const receiver = streamedMessages(30_000_000, async (_message, pieces) => {
      for await (const piece of pieces) {
        if (!piece.equals(file.subarray(received, received + piece.length))) wrong++;
        received += piece.length;
        // never more than half a megabyte is under way: the file is not through yet
        if (received < 4_000_000 + cuts * 5_000_000 || cuts === 3) continue;
        cuts++;
        way.retarget(other.port);
      }
      return 200;
    });
    const [a, nearA] = leg(ours.endpoint, one.endpoint);
    const offering = new MsrpNegotiation(other.endpoint.createSession({ receiver }), anything);
    const answering = new MsrpNegotiation(ours.endpoint.createSession(), anything);
    const exchange = (): unknown =>
      offering.accept(answering.answer(offering.offer().replace(/^m=message \d+/m, `m=message ${way.port}`)));
    exchange();
    const joint = splice(nearA, answering.session);
    const sending = a.send({ contentType: 'image/png', content: file, successReport: true });
    for (let cut = 1; cut <= 3; cut++) {
      await eventually(() => cuts === cut && !offering.session.isBound && !answering.session.isBound);
      exchange();
    }
    expect(await sending.reported).toBe(200);
    await way.close();
    expect([received, wrong, way.connections]).toEqual([20_000_000, 0, 4]);
    expect(joint.forth.messages).toBe(1);
  });

  it('pass on more messages than may be under way while none of them is answered', async () => {
    const { left, right, joint, answer } = await byHand({ limits: { openMessages: 2 } });
    const say = (name: string, flag: string): string =>
      left.line.request(
        'SEND',
        left.session.uri.text,
        [`Message-ID: ${name}`, 'Byte-Range: 1-2/2', 'Content-Type: text/plain'],
        'hi',
        flag,
        left.path,
      );
    const names = Array.from({ length: 40 }, (_, i) => `many${i}`);
    const ids = names.map((name) => say(name, '$'));
    for (const name of names) {
      const [, id] = await right.line.see(
        new RegExp(`MSRP (\\S+) SEND\\r\\n(?:.+\\r\\n)*Message-ID: ${name}\\r`),
      );
      answer(id!, 200);
    }
    for (const id of ids) expect(await left.line.answerOf(id)).toBe(200);
    expect(joint.forth).toEqual({ messages: 40, octets: 80, refused: 0 });
  });

  it('refuse a message that begins while as many as may be under way have not ended', async () => {
    const { left } = await byHand({ limits: { openMessages: 2 } });
    const begin = (name: string): string =>
      left.line.request(
        'SEND',
        left.session.uri.text,
        [`Message-ID: ${name}`, 'Byte-Range: 1-*/*', 'Content-Type: text/plain'],
        'x',
        '+',
        left.path,
      );
    begin('a');
    begin('b');
    const third = begin('c');
    expect(await left.line.answerOf(third)).toBe(413);
  });

  it('tell the receiver when the sender gives a message up', async () => {
    const clock = new VirtualClock();
    const { left, right, send, answer } = await byHand({ clock });
    const id = send('1-3/6', 'abc', '+');
    const [, onward] = await right.line.see(/MSRP (\S+) SEND\r\n(?:.+\r\n)*Message-ID: m1/);
    answer(onward!, 200);
    expect(await left.line.answerOf(id)).toBe(200);
    await clock.advanceAsync(70_000, 1000);
    await right.line.see(/Message-ID: m1\r\n(?:.+\r\n)*-------\S+#/);
  });

  it('refuse ranges that contradict themselves, and messages above the limit', async () => {
    const { left, send } = await byHand({ limits: { messageOctets: 10 } });
    expect(await left.line.answerOf(send('1-2/3', 'abc'))).toBe(400);
    expect(await left.line.answerOf(send('1-*/*', 'x'.repeat(20)))).toBe(413);
    expect(await left.line.answerOf(send('1-11/11', 'x'.repeat(11)))).toBe(413);
  });

  it('let a message be seen as it passes', async () => {
    const seen: string[] = [];
    const receiver = wholeMessages(100, () => 200);
    const { a } = await relayed(
      {},
      { receiver },
      {
        observe: ({ contentType }) => ({
          piece: (piece, position) => seen.push(`${position} ${piece.toString()}`),
          end: (status) => seen.push(`${contentType} ${status}`),
        }),
      },
    );
    expect(await a.send({ contentType: 'text/plain', content: Buffer.from('hello') }).sent).toBe(200);
    expect(seen).toEqual(['1 hello', 'text/plain 200']);
  });
});
