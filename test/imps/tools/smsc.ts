import { EventEmitter, once } from 'node:events';
import type { AddressInfo } from 'node:net';
import smpp from 'smpp';
import { readUserData, textOf, writeUserData, type UserData } from '../../../src/imps/sms/user-data.js';

/** A short message that Parley submitted. */
export interface Submitted {
  readonly to: string;
  readonly from: string;
  readonly data: UserData;
  readonly text: string;
}

/** A short message service centre for tests: the server side of SMPP on a real socket. */
export class Smsc extends EventEmitter {
  readonly submitted: Submitted[] = [];
  readonly binds: { readonly systemId: string; readonly password: string }[] = [];
  /** Status of the next binds and submissions. */
  bindStatus = 0;
  submitStatus = 0;
  readonly #server: smpp.Server;
  #session: smpp.Session | undefined;

  private constructor() {
    super();
    this.#server = smpp.createServer((session) => {
      session.on('error', () => undefined);
      session.on('pdu', (pdu: smpp.Pdu) => this.#pdu(session, pdu));
    });
  }

  static async start(port = 0): Promise<Smsc> {
    const smsc = new Smsc();
    smsc.#server.listen(port, '127.0.0.1');
    await once(smsc.#server, 'listening');
    return smsc;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Brings a message of a telephone. @returns the status that Parley answers */
  deliver(from: string, data: UserData, more: Record<string, unknown> = {}): Promise<number> {
    const { udh, message } = writeUserData(data);
    return new Promise((resolve) => {
      const fields = {
        source_addr_ton: 1,
        source_addr_npi: 1,
        source_addr: from.replace(/^\+/, ''),
        destination_addr: '7700',
        esm_class: udh ? 0x40 : 0,
        data_coding: data.dataCoding,
        short_message: message,
        ...more,
      };
      this.#session!.deliver_sm(fields, ({ command_status: status }) => resolve(status));
    });
  }

  enquire(): Promise<number> {
    return new Promise((resolve) => {
      this.#session!.enquire_link({}, ({ command_status: status }) => resolve(status));
    });
  }

  async untilBound(count = 1): Promise<void> {
    while (this.binds.length < count) await once(this, 'bind');
  }

  async until(count: number): Promise<readonly Submitted[]> {
    while (this.submitted.length < count) await once(this, 'submit');
    return this.submitted;
  }

  /** Breaks the connection. */
  async drop(): Promise<void> {
    const session = this.#session;
    if (!session || session.socket.destroyed) return;
    const gone = once(session.socket, 'close');
    session.destroy();
    await gone;
  }

  async close(): Promise<void> {
    await this.drop();
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }

  #pdu(session: smpp.Session, pdu: smpp.Pdu): void {
    if (pdu.isResponse()) return;
    if (pdu.command === 'bind_transceiver') {
      this.#session = session;
      session.send(pdu.response({ command_status: this.bindStatus }));
      this.binds.push({ systemId: pdu.system_id ?? '', password: pdu.password ?? '' });
      this.emit('bind');
    } else if (pdu.command === 'submit_sm') {
      session.send(
        pdu.response({ command_status: this.submitStatus, message_id: String(this.submitted.length) }),
      );
      const data = readUserData(
        pdu.short_message as Buffer,
        pdu.data_coding ?? 0,
        ((pdu.esm_class ?? 0) & 0x40) !== 0,
      );
      const [to, from] = [pdu.destination_addr ?? '', pdu.source_addr ?? ''];
      this.submitted.push({ to, from, data, text: textOf(data) });
      this.emit('submit');
    } else session.send(pdu.response());
  }
}
