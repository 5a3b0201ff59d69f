import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseReginfo, reginfoLimits } from '../../src/reg-event/reginfo-reader.js';

const fixture = (name: string): Uint8Array =>
  readFileSync(new URL(`../fixtures/reginfo/${name}.xml`, import.meta.url));

const INSTANCE = '<urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e>';
const document = (inside: string): Uint8Array =>
  Buffer.from(`<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="0" state="full">${inside}</reginfo>`);

describe('a reginfo document', () => {
  it('of the standards is read with GRUUs, names and every parameter, and without what is foreign', () => {
    const { version, state, registrations } = parseReginfo(fixture('standard'));
    expect([version, state, registrations.length]).toEqual([3, 'partial', 1]);
    const [phone, tablet, gone] = registrations[0]!.contacts;
    expect(phone).toMatchObject({
      id: 'c-19f2',
      active: true,
      event: 'registered',
      uri: 'sip:10.20.1.17:5060;transport=tcp',
      displayName: 'Alice & Co’s phone',
      q: 1,
      expires: 3599,
      callId: 'rg-5d1e@10.20.1.17',
      cseq: 2,
      publicGruu: 'sip:alice@ims.test;gr=urn:uuid:6ca759e8-d1b1-5dee-95f9-e36d2aca6bcf',
      temporaryGruu: { firstCSeq: 2 },
    });
    expect([...phone!.params]).toEqual([
      ['+sip.instance', '"<urn:gsma:imei:35824005-111111-0>"'],
      ['+g.3gpp.icsi-ref', '"urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"'],
    ]);
    expect(tablet).toMatchObject({ event: 'shortened', q: 0.5, expires: 60 });
    expect(gone).toMatchObject({ active: false, event: 'probation', retryAfter: 120 });
  });

  it('of Kamailio may have an unknown event and an expiry that is over', () => {
    const [first, second] = parseReginfo(fixture('kamailio')).registrations[0]!.contacts;
    expect(first).toMatchObject({ event: 'created', q: 0.5, expires: 3600 });
    expect(second).toMatchObject({ active: false, event: 'unregistered', expires: undefined });
  });

  it('of OpenSIPS may have the same contact under two identities and a version with zeros before it', () => {
    const { version, registrations } = parseReginfo(fixture('opensips'));
    expect(version).toBe(17);
    expect(registrations.map(({ aor, contacts }) => [aor, contacts.length])).toEqual([
      ['sip:alice@ims.test', 1],
      ['tel:+15550100001', 1],
    ]);
  });

  it('of Flexisip may have a prefix on every element and values without quotes', () => {
    const [contact] = parseReginfo(fixture('flexisip')).registrations[0]!.contacts;
    expect(contact!.displayName).toBe("Alice's tablet");
    expect(contact!.params.get('+sip.instance')).toBe(INSTANCE);
  });

  it('of Sprout may have wildcarded identities and contacts without expiry', () => {
    const { registrations } = parseReginfo(fixture('sprout'));
    expect(registrations[0]!.contacts[0]).toMatchObject({ expires: undefined, q: 1 });
    expect(registrations[0]!.contacts[0]!.publicGruu).toMatch(/;gr=urn:uuid:/);
    expect(registrations[1]).toMatchObject({ wildcard: 'sip:ep_user!.*!@ims.test' });
  });

  it('without identifiers, or with one twice, tells its contacts apart by their URIs', () => {
    const { version, state, registrations } = parseReginfo(fixture('identifiers'));
    expect([version, state, registrations[0]!.state]).toEqual([0, 'full', 'active']);
    expect(registrations[0]!.contacts.map(({ id }) => id)).toEqual([
      'sip:alice@127.0.0.1:1',
      '2',
      'sip:alice@127.0.0.1:3',
    ]);
  });

  it('without any namespace is taken for what it seems to be', () => {
    expect(
      parseReginfo(Buffer.from('<reginfo version="1"><registration aor="sip:a@b"/></reginfo>')),
    ).toMatchObject({
      version: 1,
      registrations: [{ aor: 'sip:a@b', contacts: [] }],
    });
  });

  it.each(['malformed', 'entities', 'other-namespace'])('that is bad (%s) is refused', (name) => {
    expect(() => parseReginfo(fixture(name))).toThrow(expect.objectContaining({ code: 'reginfo-malformed' }));
  });

  it.each([
    ['empty', Buffer.of(), 'reginfo-malformed'],
    ['of octets that are no text', Buffer.from([0xff, 0xfe, 0, 1, 2]), 'reginfo-malformed'],
    ['recursive', document('<a>'.repeat(5_000) + '</a>'.repeat(5_000)), 'reginfo-malformed'],
    ['huge', document(' '.repeat(reginfoLimits.octets)), 'reginfo-too-large'],
    [
      'of too many registrations',
      document('<registration aor="sip:a@b"/>'.repeat(reginfoLimits.registrations + 1)),
      'reginfo-too-large',
    ],
    [
      'of too many contacts',
      document(
        `<registration aor="sip:a@b">${Array.from(
          { length: reginfoLimits.contacts + 1 },
          (_, i) => `<contact id="${i}"><uri>sip:${i}@b</uri></contact>`,
        ).join('')}</registration>`,
      ),
      'reginfo-too-large',
    ],
    [
      'with a text too long',
      document(
        `<registration aor="sip:a@b"><contact><uri>sip:${'a'.repeat(5_000)}</uri></contact></registration>`,
      ),
      'reginfo-too-large',
    ],
  ])('that is %s is refused', (_, octets, code) => {
    expect(() => parseReginfo(octets)).toThrow(expect.objectContaining({ code }));
  });
});
