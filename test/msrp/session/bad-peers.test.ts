import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import type { ParleyError } from '../../../src/base/errors.js';
import {
  MsrpNegotiation,
  streamedMessages,
  wholeMessages,
  type EndpointOptions,
  type MessageReceiver,
  type MsrpSession,
} from '../../../src/msrp/session/index.js';
import {
  anything,
  counting,
  eventually,
  meanwhile,
  startEndpoint,
  type TestEndpoint,
} from '../tools/endpoints.js';
import { Line, lineOffer, linePath } from '../tools/line.js';

interface Meeting extends TestEndpoint {
  readonly session: MsrpSession;
  readonly path: string;
  readonly line: Line;
  readonly heard: string[];
  readonly lost: string[];
}

/** A session of ours with a peer that writes by hand and has not said anything yet. */
async function meeting(options: Partial<EndpointOptions> = {}, receiver?: MessageReceiver): Promise<Meeting> {
  const started = await startEndpoint(options);
  const heard: string[] = [];
  const lost: string[] = [];
  const session = started.endpoint.createSession({
    receiver:
      receiver ??
      wholeMessages(1000, ({ octets }) => {
        heard.push(octets.toString('latin1'));
        return 200;
      }),
    events: { lost: (error: ParleyError) => lost.push(error.code) },
  });
  new MsrpNegotiation(session, anything).answer(lineOffer());
  return { ...started, session, path: session.uri.text, line: new Line(started.port), heard, lost };
}

describe('an endpoint whose peer', () => {
  it('sends chunks out of order puts them together by their ranges', async () => {
    const { line, path, heard } = await meeting();
    expect(await line.chunk(path, '7-11/11', 'world', '$')).toBe(200);
    expect(await line.chunk(path, '1-3/11', 'hel', '+')).toBe(200);
    expect(heard).toEqual([]);
    expect(await line.chunk(path, '3-*/11', 'lo, ', '+')).toBe(200);
    expect(heard).toEqual(['helo, world']);
  });

  it.each([
    ['is no range', '900-12/4', 'abc'],
    ['ends before the octets do', '1-2/3', 'abc'],
    ['has a total that the octets exceed', '1-*/2', 'abc'],
    ['has a total that the last chunk does not reach', '1-*/9', 'abc'],
  ])('sends a Byte-Range that %s gets 400, and nothing is taken', async (_what, range, body) => {
    const { line, path, heard, session } = await meeting();
    expect(await line.chunk(path, range, body)).toBe(400);
    expect(heard).toEqual([]);
    expect(session.figures.refused).toBe(1);
  });

  it('changes the total in the middle of a message gets 400', async () => {
    const { line, path, heard } = await meeting();
    expect(await line.chunk(path, '1-3/6', 'abc', '+')).toBe(200);
    expect(await line.chunk(path, '4-6/7', 'def')).toBe(400);
    expect(heard).toEqual([]);
  });

  it('asks for a success report gets one after the answer, with the range of the whole', async () => {
    const { line, path } = await meeting();
    expect(await line.chunk(path, '1-3/3', 'abc', '$', ['Success-Report: yes'])).toBe(200);
    await line.see(
      /MSRP \S+ REPORT\r\n(?:.+\r\n)*Message-ID: m1\r\nByte-Range: 1-3\/3\r\nStatus: 000 200 OK/,
    );
  });

  it('gives a message up by # has nothing delivered', async () => {
    const { line, path, heard } = await meeting();
    expect(await line.chunk(path, '1-3/6', 'abc', '+')).toBe(200);
    expect(await line.chunk(path, '4-*/6', 'd', '#')).toBe(200);
    expect(await line.chunk(path, '1-2/2', 'ok')).toBe(200);
    expect(heard).toEqual(['ok']);
  });

  it('sends without end is told 413 in the middle of the chunk, and loses the connection when it goes on', async () => {
    const { line, path } = await meeting();
    line.socket.write(
      `MSRP endless1 SEND\r\nTo-Path: ${path}\r\nFrom-Path: ${linePath}\r\nMessage-ID: e\r\nByte-Range: 1-*/*\r\nContent-Type: a/b\r\n\r\n`,
    );
    const megabyte = Buffer.alloc(1 << 20, 'x');
    line.socket.write(megabyte);
    expect(await line.answerOf('endless1')).toBe(413);
    const closed = new Promise((resolve) => line.socket.once('close', resolve));
    for (let i = 0; i < 20; i++) line.socket.write(megabyte);
    await closed;
  });

  it('begins more messages than are allowed gets 413 for the next', async () => {
    const { line, path } = await meeting({ limits: { openMessages: 2 } });
    const begin = (id: string): Promise<number> =>
      line.answerOf(
        line.request('SEND', path, [`Message-ID: ${id}`, 'Byte-Range: 1-*/*', 'Content-Type: a/b'], 'x', '+'),
      );
    expect([await begin('a'), await begin('b'), await begin('c')]).toEqual([200, 200, 413]);
  });

  it('stops in the middle of a message is told by a report, and the octets are let go', async () => {
    const clock = new VirtualClock();
    const { line, path, endpoint } = await meeting({ clock });
    expect(await line.chunk(path, '1-3/6', 'abc', '+')).toBe(200);
    expect(endpoint.figures.heldOctets).toBe(3);
    clock.advance(120_000);
    await line.see(/REPORT\r\n(?:.+\r\n)*Byte-Range: 1-3\/6\r\nStatus: 000 408 Request Timeout/);
    expect(endpoint.figures.heldOctets).toBe(0);
  });

  it('holds more octets than the process gives gets 413, however many sessions it has', async () => {
    const { line, path } = await meeting({ limits: { heldOctets: 5 } });
    expect(await line.chunk(path, '1-3/9', 'abc', '+')).toBe(200);
    expect(await line.chunk(path, '4-6/9', 'def', '+')).toBe(413);
  });

  it('never connects is given up in time', async () => {
    const clock = new VirtualClock();
    const { lost, session } = await meeting({ clock });
    clock.advance(29_000);
    expect(lost).toEqual([]);
    clock.advance(2_000);
    expect(lost).toEqual(['msrp-timeout']);
    expect(session.isClosed).toBe(true);
  });

  it('connects from elsewhere to a bound session gets 506, and the session stays with whom it has', async () => {
    const { line, path, port, heard, trail } = await meeting();
    expect(await line.chunk(path, '1-1/1', 'a')).toBe(200);
    const hijacker = new Line(port);
    expect(await hijacker.chunk(path, '1-1/1', 'b')).toBe(506);
    expect(await line.chunk(path, '1-1/1', 'c')).toBe(200);
    expect(heard).toEqual(['a', 'c']);
    expect(trail.recent({ code: 'msrp.request-refused' })).toHaveLength(1);
  });

  it('names another From-Path, or a session that is not ours, gets 481', async () => {
    const { line, path, heard } = await meeting();
    const fields = ['Message-ID: m', 'Byte-Range: 1-1/1', 'Content-Type: a/b'];
    const stolen = line.request('SEND', path, fields, 'x', '$', 'msrp://127.0.0.1:9/mallory;tcp');
    expect(await line.answerOf(stolen)).toBe(481);
    expect(await line.answerOf(line.request('SEND', `${path.slice(0, -9)}AAAAA;tcp`, fields, 'x'))).toBe(481);
    expect(heard).toEqual([]);
  });

  it('connects again is taken again, and gets what was not answered before', async () => {
    const { line, path, port, session } = await meeting();
    expect(await line.answerOf(line.request('SEND', path, ['Message-ID: bind']))).toBe(200);
    const sending = session.send({
      contentType: 'text/plain',
      content: Buffer.from('hello'),
      messageId: 'mine',
    });
    await line.see(/Message-ID: mine/);
    line.socket.destroy();
    await eventually(() => !session.isBound);
    const again = new Line(port);
    again.request('SEND', path, ['Message-ID: bind2']);
    const [, id] = await again.see(
      /MSRP (\S+) SEND\r\n(?:.+\r\n)*Message-ID: mine\r\nByte-Range: 1-5\/5\r\n/,
    );
    again.socket.write(
      `MSRP ${id} 200 OK\r\nTo-Path: ${path}\r\nFrom-Path: ${linePath}\r\n-------${id}$\r\n`,
    );
    expect(await sending.sent).toBe(200);
  });

  it('never answers nor reports is not waited for without end', async () => {
    const clock = new VirtualClock();
    const { line, path, session } = await meeting({ clock });
    expect(await line.answerOf(line.request('SEND', path, ['Message-ID: bind']))).toBe(200);
    const message = { contentType: 'text/plain', content: Buffer.from('x') };
    const unanswered = session.send({ ...message, messageId: 'one' });
    const unreported = session.send({
      ...message,
      messageId: 'two',
      failureReport: 'no',
      successReport: true,
    });
    await line.see(/Message-ID: two/);
    expect(await unreported.sent).toBe(200);
    await clock.advanceAsync(31_000, 1000);
    expect(await unanswered.sent).toBe(408);
    await clock.advanceAsync(120_000, 1000);
    expect(await unreported.reported).toBe(408);
  });

  it('refuses a message in the middle gets no more of it', async () => {
    const { line, path, session } = await meeting();
    expect(await line.answerOf(line.request('SEND', path, ['Message-ID: bind']))).toBe(200);
    const sending = session.send({ contentType: 'a/b', content: Buffer.alloc(5_000_000), messageId: 'big' });
    const [, id] = await line.see(/MSRP (\S+) SEND\r\n(?:.+\r\n)*Message-ID: big/);
    line.socket.write(
      `MSRP ${id} 413 Stop\r\nTo-Path: ${path}\r\nFrom-Path: ${linePath}\r\n-------${id}$\r\n`,
    );
    expect(await sending.sent).toBe(413);
    await line.see(/-------\S+#\r\n$/);
    expect(line.text.length).toBeLessThan(2_000_000);
  });

  it('sends faster than a stream is read is stopped by its socket', async () => {
    let read = 0;
    let go = (): void => {};
    const gate = new Promise<void>((resolve) => (go = resolve));
    const receiver = counting(
      streamedMessages(50_000_000, async (_message, pieces) => {
        await gate;
        for await (const piece of pieces) read += piece.length;
        return 200;
      }),
    );
    const { line, path, endpoint } = await meeting({}, receiver);
    const id = line.request(
      'SEND',
      path,
      ['Message-ID: s', 'Byte-Range: 1-*/*', 'Content-Type: a/b'],
      'x'.repeat(30_000_000),
    );
    await eventually(() => receiver.octets > 262_144);
    await meanwhile(endpoint);
    // what fills the stream, and the read of the socket that did
    expect(receiver.octets).toBeLessThan(262_144 + 131_072);
    go();
    expect(await line.answerOf(id)).toBe(200);
    expect(read).toBe(30_000_000);
  });

  it('sends what is not MSRP loses its connection', async () => {
    const { line, trail } = await meeting();
    line.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await new Promise((resolve) => line.socket.once('close', resolve));
    expect(trail.recent({ code: 'msrp.connection-ended' })).toHaveLength(1);
  });
});
