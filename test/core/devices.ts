import { expect } from 'vitest';
import type { HeaderMap } from '../../src/sip/message/headers.js';
import type { SipResponse } from '../../src/sip/message/message.js';
import type { RunningParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';

export const UUID = 'urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e';
export const IMEI = 'urn:gsma:imei:35824005-111111-0';

/** The Contact parameter with which a device says its Instance ID. */
export const withInstance = (urn: string): string => `;+sip.instance="<${urn}>"`;

/** Registered devices of a test, which go with it. */
export class Devices {
  readonly #phones: Phone[] = [];
  readonly #parley: () => RunningParley;

  constructor(parley: () => RunningParley) {
    this.#parley = parley;
  }

  async open(user: string): Promise<Phone> {
    const phone = await Phone.open(user, this.#parley().port);
    this.#phones.push(phone);
    return phone;
  }

  async register(user: string, contactParams = '', headers: HeaderMap = {}): Promise<Phone> {
    const phone = await this.open(user);
    expect((await phone.register(contactParams, { Supported: 'path, gruu', ...headers })).status).toBe(200);
    return phone;
  }

  async close(): Promise<void> {
    for (const phone of this.#phones.splice(0)) {
      phone.close();
      await this.#parley().app.registrar!.deregister(phone.aor, 'deactivated');
    }
  }
}

/** The GRUUs that a 200 to REGISTER gives for an Instance ID. */
export function gruusOf(response: SipResponse, urn: string): { pub: string; temp: string } {
  const mine = response.contacts.find(({ params }) => params.get('+sip.instance')?.includes(urn));
  const value = (name: string): string => mine?.params.get(name)?.replaceAll('"', '') ?? '';
  return { pub: value('pub-gruu'), temp: value('temp-gruu') };
}

/** Nothing has come that the test did not ask for. */
export const expectSilent = (phone: Phone): void => expect(phone.peer.unread).toEqual([]);
