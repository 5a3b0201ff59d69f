import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterwards } from './endpoints.js';

/** The `a=path` that a {@link Line} has in its descriptions. */
export const linePath = 'msrp://127.0.0.1:9/peer;tcp';

/** A description of somebody who connects from a {@link Line}. */
export function lineOffer(path = linePath, setup = 'active'): string {
  return [
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    'm=message 9 TCP/MSRP *',
    'a=accept-types:*',
    `a=path:${path}`,
    `a=setup:${setup}`,
    '',
  ].join('\r\n');
}

/** A peer that writes MSRP by hand. */
export class Line {
  readonly socket: Socket;
  text = '';
  #next = 1;

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.setEncoding('latin1').on('data', (part: string) => (this.text += part));
    this.socket.on('error', () => undefined);
    afterwards(() => this.socket.destroy());
  }

  /** Waits for text that matches. */
  async see(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.text);
      if (found) return found;
      await once(this.socket, 'data', { signal: AbortSignal.timeout(5000) });
    }
  }

  /** Writes a request. @returns its transaction identifier. */
  request(
    method: string,
    to: string,
    fields: readonly string[],
    body?: string,
    flag = '$',
    from = linePath,
  ): string {
    const id = `line${String(this.#next++).padStart(4, '0')}`;
    const head = [`MSRP ${id} ${method}`, `To-Path: ${to}`, `From-Path: ${from}`, ...fields].join('\r\n');
    const content = body === undefined ? '' : `\r\n${body}\r\n`;
    this.socket.write(`${head}\r\n${content}-------${id}${flag}\r\n`, 'latin1');
    return id;
  }

  async answerOf(id: string): Promise<number> {
    return Number((await this.see(new RegExp(`MSRP ${id} (\\d+)`)))[1]);
  }

  /** Sends a chunk of message `m1`. @returns the status of its response. */
  chunk(to: string, range: string, body: string, flag = '$', more: readonly string[] = []): Promise<number> {
    const fields = ['Message-ID: m1', `Byte-Range: ${range}`, ...more, 'Content-Type: text/plain'];
    return this.answerOf(this.request('SEND', to, fields, body, flag));
  }
}
