import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
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

  /** @param ca makes it a line with TLS, to a server that shows a certificate of this authority. */
  constructor(port: number, ca?: string) {
    this.socket = ca === undefined ? connect(port, '127.0.0.1') : connectTls({ port, host: '127.0.0.1', ca });
    this.socket.setEncoding('latin1').on('data', (part: string) => (this.text += part));
    this.socket.on('error', () => undefined);
    afterwards(() => this.socket.destroy());
  }

  /** Waits for text that matches. */
  async see(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.text);
      if (found) return found;
      await once(this.socket, 'data', { signal: AbortSignal.timeout(20_000) });
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

  /** Answers a request of the other side. */
  answer(id: string, status: number, to: string, from = linePath): void {
    this.socket.write(
      `MSRP ${id} ${status} X\r\nTo-Path: ${to}\r\nFrom-Path: ${from}\r\n-------${id}$\r\n`,
      'latin1',
    );
  }

  /** The next request or response that matches, whole; what came before it is forgotten. */
  async take(pattern: RegExp): Promise<string> {
    const message = new RegExp(`MSRP (\\S+) ${pattern.source}[^]*?\\r\\n-------\\1[$+#]\\r\\n`);
    const found = await this.see(message);
    this.text = this.text.slice(found.index + found[0].length);
    return found[0];
  }

  /** Resolves when the other side has closed it. */
  async closed(): Promise<void> {
    if (!this.socket.destroyed) await once(this.socket, 'close', { signal: AbortSignal.timeout(20_000) });
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
