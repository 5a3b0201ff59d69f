import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeRegister, type ContactRequest } from '../../src/registrar/register-command.js';
import type { Binding } from '../../src/registrar/registration.js';
import type { ServerRequest } from '../../src/sip/stack.js';
import { serverRequest } from '../tools/sip-request.js';

const aor = 'sip:alice@ims.test';
const policy = { minimum: 60, maximum: 7_200, standard: 3_600 };

function register(contact: string, fields: Record<string, string>): ServerRequest {
  return serverRequest('REGISTER sip:ims.test SIP/2.0', { Contact: contact, ...fields });
}

function bindingOf(contact: ContactRequest): Binding {
  return {
    id: '1',
    aor,
    contact: contact.uri,
    params: contact.params,
    deviceName: contact.deviceName,
    instance: contact.instance?.urn,
    instanceKey: contact.instance?.key,
    regId: contact.regId,
    q: contact.q,
    callId: '0@127.0.0.1',
    cseq: 1,
    path: [],
    flowOnly: false,
    privateId: 'alice@ims.test',
    registeredAt: 0,
    refreshedAt: 0,
    expiresAt: 1,
  };
}

/** What a decoded contact says, whatever object says it. */
function words({ instance, ...contact }: ContactRequest): unknown {
  return { ...contact, instance: instance && { urn: instance.urn, key: instance.key } };
}

const optional = (...texts: string[]): fc.Arbitrary<string> => fc.constantFrom('', ...texts);
const contacts = fc
  .tuple(
    optional('"Kitchen" ', 'Kitchen '),
    fc.constantFrom('sip:alice@127.0.0.1:5061', 'sip:alice@127.0.0.1:5061;transport=UDP', 'sip:127.0.0.1'),
    optional(
      ';+sip.instance="<urn:uuid:00000000-0000-4000-8000-00000000000A>"',
      ';+sip.instance="<urn:gsma:imei:90420156-025763-0>"',
    ),
    optional(';reg-id=1', ';reg-id=2'),
    optional(';q=0.5', ';q=1', ';Q=0.25'),
    optional(';audio;+g.3gpp.icsi-ref="urn%3Aa,urn%3Ab"', '; audio', ';x=","'),
    optional(';expires=60', ';expires=100', ';expires=90000', ';expires=0', ';expires="600"', ';expires=x'),
    optional(';methods="INVITE"'),
  )
  .map(([name, uri, ...params]) => `${name}<${uri}>${params.join('')}`);
const fields = fc.constantFrom({}, { Supported: 'outbound, gruu' }, { Expires: '600' }, { Expires: '0' });

describe('a Contact that a binding has already', () => {
  it('is understood as if it were read for the first time, whatever else the request says', () => {
    fc.assert(
      fc.property(contacts, contacts, fields, fields, fc.boolean(), (first, other, before, now, again) => {
        const known = decodeRegister(register(first, before), policy).contacts.map(bindingOf);
        const request = register(again ? first : other, now);
        const afresh = decodeRegister(request, policy);
        const beside = decodeRegister(request, policy, aor, known);
        expect({ ...beside, contacts: beside.contacts.map(words) }).toEqual({
          ...afresh,
          contacts: afresh.contacts.map(words),
        });
      }),
      { numRuns: 2_000 },
    );
  });

  it('of another identity is read again, since whether a contact may be there depends on the identity', () => {
    const request = register(`<${aor}>;+sip.instance="<urn:uuid:00000000-0000-4000-8000-00000000000a>"`, {});
    const known: Binding = {
      ...bindingOf({
        uri: aor,
        params: ';+sip.instance="<urn:uuid:00000000-0000-4000-8000-00000000000a>"',
        deviceName: undefined,
        instance: {
          urn: 'urn:uuid:00000000-0000-4000-8000-00000000000a',
          key: 'uuid:00000000-0000-4000-8000-00000000000a',
        },
        regId: undefined,
        q: 1,
        expires: 60,
      }),
      aor: 'sip:bob@ims.test',
    };
    expect(() => decodeRegister(request, policy, aor, [known])).toThrow(
      expect.objectContaining({ code: 'register-contact-is-aor' }),
    );
  });
});
