import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { useCleanups } from '../../tools/cleanups.js';
import { SystemClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { GroupMsrp } from '../../../src/cpm/controlling/msrp/group-msrp.js';

const peer = 'msrp://127.0.0.1:9/peer;tcp';
const offer = [
  'v=0',
  'o=- 1 1 IN IP4 127.0.0.1',
  's=-',
  'c=IN IP4 127.0.0.1',
  't=0 0',
  'm=message 9 TCP/MSRP *',
  'a=accept-types:message/cpim',
  `a=path:${peer}`,
  'a=setup:active',
  '',
].join('\r\n');

const cleanups = useCleanups();

/** A participant's session with the group, and the texts that reached the group. */
async function joined(): Promise<{ media: GroupMsrp; line: Line; heard: string[]; path: string }> {
  const clock = new SystemClock((error) => {
    throw error;
  });
  cleanups.push(() => clock.close());
  const media = new GroupMsrp(clock, silentLogger);
  await media.start('127.0.0.1', 0);
  cleanups.push(() => media.close());
  const session = media.answer(Buffer.from(offer));
  const heard: string[] = [];
  session.onMessage((message) => {
    heard.push(Buffer.from(message.octets).toString());
    return Promise.resolve(200);
  });
  const path = /a=path:(\S+)/.exec(Buffer.from(session.description).toString())![1]!;
  const line = new Line(Number(/:(\d+)\//.exec(path)![1]));
  cleanups.push(() => line.socket.destroy());
  return { media, line, heard, path };
}

class Line {
  readonly socket: Socket;
  text = '';

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.setEncoding('latin1').on('data', (part: string) => (this.text += part));
  }

  /** Sends one chunk. @returns the status of its response */
  async chunk(path: string, id: string, range: string, body: string, flag: '+' | '$'): Promise<number> {
    this.socket.write(
      `MSRP ${id} SEND\r\nTo-Path: ${path}\r\nFrom-Path: ${peer}\r\nMessage-ID: m1\r\nByte-Range: ${range}\r\n` +
        `Content-Type: message/cpim\r\n\r\n${body}\r\n-------${id}${flag}\r\n`,
    );
    const answer = new RegExp(`MSRP ${id} (\\d+)`);
    while (!answer.test(this.text)) await once(this.socket, 'data');
    return Number(answer.exec(this.text)![1]);
  }
}

describe('the MSRP side of a group', () => {
  it('closes while a participant is connected', async () => {
    const { media, line, path } = await joined();
    expect(await line.chunk(path, 'aaaa0001', '1-2/2', 'hi', '$')).toBe(200);
    await media.close();
    if (!line.socket.closed) await once(line.socket, 'close');
  });

  it('puts the chunks of a message together', async () => {
    const { line, heard, path } = await joined();
    expect(await line.chunk(path, 'aaaa0001', '1-5/10', 'hello', '+')).toBe(200);
    expect(await line.chunk(path, 'aaaa0002', '6-10/10', 'WORLD', '$')).toBe(200);
    expect(heard).toEqual(['helloWORLD']);
  });

  it('refuses chunks that do not follow one another, and takes none of the message', async () => {
    const { line, heard, path } = await joined();
    expect(await line.chunk(path, 'aaaa0001', '6-10/10', 'WORLD', '+')).toBe(413);
    expect(await line.chunk(path, 'aaaa0002', '1-5/10', 'hello', '+')).toBe(200);
    expect(await line.chunk(path, 'aaaa0003', '1-5/10', 'hello', '$')).toBe(413);
    expect(heard).toEqual([]);
  });

  it('answers 400 to a Byte-Range that is none', async () => {
    const { line, heard, path } = await joined();
    expect(await line.chunk(path, 'aaaa0001', '900-12/4', 'abc', '$')).toBe(400);
    expect(heard).toEqual([]);
  });
});
