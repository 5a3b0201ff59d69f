import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { registrationForm } from '../../src/registrar/registration-form.js';
import type { Binding, InstanceState, Registration } from '../../src/registrar/registration.js';

// few texts, so that the same one often stands in two places
const text = fc.oneof(
  fc.constantFrom('', 'sip:alice@ims.test', 'urn:uuid:1'),
  fc.string({ unit: 'grapheme' }),
);
const perhaps = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined });
const time = fc.integer({ min: 0, max: 2 ** 47 });

const binding: fc.Arbitrary<Binding> = fc.record({
  id: text,
  aor: text,
  contact: text,
  params: text,
  deviceName: perhaps(text),
  instance: perhaps(text),
  instanceKey: perhaps(text),
  regId: perhaps(fc.nat()),
  q: fc.integer({ min: 0, max: 1000 }).map((n) => n / 1000),
  callId: text,
  cseq: fc.nat(),
  path: fc.array(text, { maxLength: 3 }),
  flow: perhaps(text),
  flowOnly: fc.boolean(),
  privateId: text,
  userAgent: perhaps(text),
  registeredAt: time,
  refreshedAt: time,
  expiresAt: time,
});

const instance: fc.Arbitrary<InstanceState> = fc.record({
  aor: text,
  instanceKey: text,
  gr: text,
  index: fc.integer({ min: 0, max: 2 ** 47 - 1 }),
  generation: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  firstCSeq: fc.nat(),
  callIds: fc.array(fc.record({ regId: perhaps(fc.nat()), callId: text }), { maxLength: 3 }),
});

const registration: fc.Arbitrary<Registration> = fc.record({
  bindings: fc.array(binding, { maxLength: 3 }),
  instances: fc.array(instance, { maxLength: 3 }),
  away: fc.array(text, { maxLength: 3 }),
});

describe('the stored form of a registration', () => {
  const packr = new Packr({ useRecords: false });
  const stored = (value: Registration): Buffer => packr.pack(registrationForm.pack(value));

  it('gives the registration back as it was', () => {
    fc.assert(
      fc.property(registration, (value) => {
        expect(registrationForm.unpack(packr.unpack(stored(value)))).toEqual(value);
      }),
    );
  });

  it('reads a registration that was stored with the names of its properties', () => {
    fc.assert(
      fc.property(registration, (value) => {
        expect(registrationForm.unpack(packr.unpack(packr.pack(value)))).toEqual(value);
      }),
    );
  });

  it('holds what identity, device and binding have in common once', () => {
    const aor = 'sip:alice@ims.test';
    const urn = 'urn:uuid:00000000-0000-4000-8000-000000000001';
    const callId = '843817637684230@998sdasdh09';
    const of = { aor, instanceKey: urn.slice(4), callId };
    const state = { ...of, gr: urn, index: 1, generation: 1, firstCSeq: 1, callIds: [{ regId: 1, callId }] };
    const device: Binding = {
      ...of,
      id: '1',
      contact: 'sip:alice@192.0.2.1',
      params: '',
      instance: urn,
      regId: 1,
      q: 1,
      cseq: 1,
      path: [],
      flowOnly: false,
      privateId: aor,
      registeredAt: 0,
      refreshedAt: 0,
      expiresAt: 1,
    };
    const octets = stored({ bindings: [device], instances: [state], away: [] }).toString('latin1');
    for (const once of [aor, urn, callId]) expect(octets.split(once)).toHaveLength(2);
  });
});
