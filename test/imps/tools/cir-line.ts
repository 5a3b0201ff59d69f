import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A CIR connection over TCP as a list of the lines that came. */
export class CirLine {
  readonly socket: Socket;
  readonly lines: string[] = [];
  closed = false;
  #rest = '';

  /** @param from address that it comes from. */
  constructor(port: number, from = '127.0.0.1') {
    this.socket = connect({ port, host: '127.0.0.1', localAddress: from });
    this.socket.setEncoding('latin1');
    this.socket.on('data', (text: string) => {
      this.#rest += text;
      const parts = this.#rest.split('\r\n');
      this.#rest = parts.pop() ?? '';
      this.lines.push(...parts);
      this.socket.emit('lines');
    });
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.closed = true;
      this.socket.emit('lines');
    });
  }

  async until(count: number): Promise<string[]> {
    while (this.lines.length < count && !this.closed) await once(this.socket, 'lines');
    return this.lines;
  }

  async end(): Promise<string[]> {
    while (!this.closed) await once(this.socket, 'lines');
    return this.lines;
  }
}
