import smpp from 'smpp';
import { backOff } from '../../base/back-off.js';
import type { Clock, Timer } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import type { ImpsConfig } from '../config.js';
import { readUserData, writeUserData, type UserData } from './user-data.js';

export type SmppConfig = NonNullable<ImpsConfig['smpp']>;

/** A short message from a telephone. */
export interface MobileOriginated {
  /** International number with `+`, or what the SMSC gave when it is none. */
  readonly from: string;
  readonly data: UserData;
}

const ENQUIRE_MS = 30_000;
/** How long an answer of the SMSC is waited for. */
const ANSWER_MS = 15_000;
/** Messages from telephones that are worked on; the SMSC is asked to wait with more. */
const AT_WORK = 200;

const UDH_INDICATOR = 0x40;
/** Kinds of esm_class that are no message of a telephone: receipts and acknowledgements. */
const RECEIPT = 0x3c;
const INTERNATIONAL = 1;
const ISDN = 1;
const OK = 0;
const SYSTEM_ERROR = 0x08;
const THROTTLED = 0x58;

// The package would decode texts by a table of its own, and lose the octets of binary messages: they come as they are.
smpp.filters.message.decode = (value) => value;

/** The connection to the SMSC as the operator sees it. */
export interface SmscState {
  /** `host:port` */
  readonly address: string;
  readonly bound: boolean;
  /** Milliseconds since the epoch: bound since then, or not bound since then. */
  readonly since: number;
  /** Short messages that wait for their turn, and those that wait for an answer. */
  readonly queued: number;
  readonly inFlight: number;
}

interface Waiting {
  readonly to: string;
  readonly data: UserData;
  readonly done: (taken: boolean) => void;
}

/**
 * The connection to a short message service centre: SMPP 3.4, bound as transceiver. It is kept up: a lost or refused
 * one is opened again after 1 s, then after twice as long each time up to a minute.
 */
export class SmscLink {
  readonly #config: SmppConfig;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #trail: Trail;
  readonly #onMessage: (message: MobileOriginated) => Promise<void>;
  readonly #queue: Waiting[] = [];
  #session: smpp.Session | undefined;
  #bound = false;
  #since: number;
  #closed = false;
  #failures = 0;
  #retry: Timer | undefined;
  #enquiry: Timer | undefined;
  #inFlight = new Set<(taken: boolean) => void>();
  #atWork = 0;

  constructor(
    config: SmppConfig,
    { clock, log, trail }: { readonly clock: Clock; readonly log: Logger; readonly trail: Trail },
    onMessage: (message: MobileOriginated) => Promise<void>,
  ) {
    this.#config = config;
    this.#clock = clock;
    this.#since = clock.now();
    this.#log = log;
    this.#trail = trail;
    this.#onMessage = onMessage;
  }

  get state(): SmscState {
    const { host, port } = this.#config;
    return {
      address: `${host}:${port}`,
      bound: this.#bound,
      since: this.#since,
      queued: this.#queue.length,
      inFlight: this.#inFlight.size,
    };
  }

  start(): void {
    const { host, port, tls } = this.#config;
    const session = smpp.connect({ host, port, tls });
    this.#session = session;
    session.on(tls ? 'secureConnect' : 'connect', () => this.#bind(session));
    session.on('error', (error: Error) => {
      this.#log.warn({ host, port, reason: error.message }, 'the SMSC connection had an error');
      session.destroy();
    });
    session.on('close', () => this.#lost(session));
    session.on('pdu', (pdu: smpp.Pdu) => this.#received(session, pdu));
  }

  /**
   * Submits a short message.
   * @param to digits with or without `+`
   * @returns false when the SMSC did not take it
   */
  submit(to: string, data: UserData): Promise<boolean> {
    if (!this.#bound || this.#queue.length >= this.#config.queue) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#queue.push({ to, data, done: resolve });
      this.#next();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#retry?.cancel();
    const session = this.#session;
    if (!session || session.socket.destroyed) return;
    const gone = new Promise<void>((resolve) => session.socket.once('close', () => resolve()));
    const late = this.#clock.after(1000, () => session.destroy());
    if (this.#bound) session.unbind({}, () => session.close());
    else session.destroy();
    await gone;
    late.cancel();
  }

  #bind(session: smpp.Session): void {
    const { systemId, password, systemType } = this.#config;
    const late = this.#clock.after(ANSWER_MS, () => session.destroy());
    const fields = { system_id: systemId, password, system_type: systemType, interface_version: 0x34 };
    session.bind_transceiver(fields, ({ command_status: status }) => {
      late.cancel();
      if (status !== OK) {
        this.#log.error({ systemId, status }, 'the SMSC refused the bind');
        this.#note('imps.smsc-refused', 'refused', `command_status ${status}`);
        session.destroy();
        return;
      }
      this.#log.info({ systemId, host: this.#config.host }, 'bound to the SMSC');
      this.#note('imps.smsc-bound', 'accepted', systemId);
      this.#bound = true;
      this.#since = this.#clock.now();
      this.#failures = 0;
      this.#enquire(session);
    });
  }

  #note(code: string, outcome: 'accepted' | 'refused' | 'noted', detail: string): void {
    this.#trail.record({ code, outcome, clause: 'SMPP 3.4 §2.2', subject: this.#config.address, detail });
  }

  #lost(session: smpp.Session): void {
    if (session !== this.#session) return;
    if (this.#bound) {
      this.#since = this.#clock.now();
      if (!this.#closed) this.#note('imps.smsc-lost', 'noted', this.#config.host);
    }
    this.#bound = false;
    this.#enquiry?.cancel();
    for (const done of [...this.#inFlight]) done(false);
    for (const { done } of this.#queue.splice(0)) done(false);
    if (this.#closed) return;
    this.#retry = this.#clock.after(backOff(this.#failures++), () => this.start());
  }

  /** A link whose other end is gone does not say so: it is asked now and then. */
  #enquire(session: smpp.Session): void {
    this.#enquiry = this.#clock.after(ENQUIRE_MS, () => {
      const late = this.#clock.after(ANSWER_MS, () => session.destroy());
      session.enquire_link({}, () => {
        late.cancel();
        if (this.#bound) this.#enquire(session);
      });
    });
  }

  #next(): void {
    while (this.#bound && this.#inFlight.size < this.#config.window) {
      const waiting = this.#queue.shift();
      if (!waiting) return;
      this.#submit(waiting);
    }
  }

  #submit({ to, data, done }: Waiting): void {
    const { udh, message } = writeUserData(data);
    const finish = (taken: boolean): void => {
      if (!this.#inFlight.delete(finish)) return;
      late.cancel();
      done(taken);
      this.#next();
    };
    this.#inFlight.add(finish);
    const late = this.#clock.after(ANSWER_MS, () => finish(false));
    const { address, addressTon } = this.#config;
    const fields = {
      source_addr_ton: addressTon,
      source_addr_npi: ISDN,
      source_addr: address.replace(/^\+/, ''),
      dest_addr_ton: INTERNATIONAL,
      dest_addr_npi: ISDN,
      destination_addr: to.replace(/^\+/, ''),
      esm_class: udh ? UDH_INDICATOR : 0,
      data_coding: data.dataCoding,
      short_message: message,
    };
    const sent = this.#session?.submit_sm(fields, ({ command_status: status }) => {
      if (status !== OK) this.#log.warn({ status }, 'the SMSC did not take a short message');
      finish(status === OK);
    });
    if (sent !== true) finish(false);
  }

  #received(session: smpp.Session, pdu: smpp.Pdu): void {
    if (pdu.isResponse()) return;
    switch (pdu.command) {
      case 'deliver_sm':
        return void this.#deliver(session, pdu);
      case 'unbind':
        session.send(pdu.response());
        session.close();
        return;
      case 'enquire_link':
      case 'unknown':
        // what is unknown gets a generic_nack
        session.send(pdu.response());
    }
  }

  /** A message is acknowledged when it was worked on, so that the SMSC keeps it through a crash. */
  async #deliver(session: smpp.Session, pdu: smpp.Pdu): Promise<void> {
    if (this.#atWork >= AT_WORK) return void session.send(pdu.response({ command_status: THROTTLED }));
    this.#atWork++;
    let status = OK;
    try {
      const message = mobileOriginated(pdu);
      if (message) await this.#onMessage(message);
    } catch (error) {
      this.#log.error({ err: error }, 'a short message could not be served');
      status = SYSTEM_ERROR;
    }
    this.#atWork--;
    session.send(pdu.response({ command_status: status }));
  }
}

function mobileOriginated(pdu: smpp.Pdu): MobileOriginated | undefined {
  const esmClass = pdu.esm_class ?? 0;
  if ((esmClass & RECEIPT) !== 0) return undefined;
  const short = pdu.short_message;
  const octets = Buffer.isBuffer(short) && short.length > 0 ? short : pdu.message_payload;
  if (!Buffer.isBuffer(octets)) return undefined;
  const digits = pdu.source_addr ?? '';
  const international = /^\d{5,15}$/.test(digits) && pdu.source_addr_ton === INTERNATIONAL;
  return {
    from: international ? `+${digits}` : digits,
    data: readUserData(octets, pdu.data_coding ?? 0, (esmClass & UDH_INDICATOR) !== 0),
  };
}
