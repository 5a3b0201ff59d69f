import { describe, expect, it } from 'vitest';
import { bodyLimits, contactsTold } from '../../../src/core/application-server/register-bodies.js';
import type { ToldContacts } from '../../../src/reg-event/told-contacts.js';
import { Headers } from '../../../src/sip/message/headers.js';
import { SipRequest } from '../../../src/sip/message/message.js';
import { buildMultipart } from '../../../src/sip/message/multipart.js';

const URN = '<urn:gsma:imei:35824005-111111-0>';
const PHONE = 'sip:alice@192.0.2.7:5060';

const fields = (contacts: readonly string[], expires: string): string =>
  [
    'Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1',
    'From: <sip:alice@ims.test>;tag=1',
    'To: <sip:alice@ims.test>;tag=2',
    'Call-ID: phone',
    'CSeq: 7 REGISTER',
    ...contacts.map((contact) => `Contact: ${contact}`),
    `Expires: ${expires}`,
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');
const register = (...contacts: string[]): string =>
  `REGISTER sip:ims.test SIP/2.0\r\nMax-Forwards: 70\r\n${fields(contacts, '600')}`;
const ok = (...contacts: string[]): string => `SIP/2.0 200 OK\r\n${fields(contacts, '300')}`;

const third = (type: string | undefined, body: string | Uint8Array): ToldContacts | undefined =>
  contactsTold(
    new SipRequest(
      'REGISTER',
      'sip:as.test',
      Headers.from({ To: '<sip:alice@ims.test>', 'Content-Type': type }),
      Buffer.from(body),
    ),
  );

const several = (...bodies: (readonly [type: string, body: string])[]): ToldContacts | undefined => {
  const { contentType, body } = buildMultipart(
    bodies.map(([type, text]) => ({ headers: { 'Content-Type': type }, body: text })),
  );
  return third(contentType, body);
};

describe('the bodies of a third-party REGISTER', () => {
  it('give the device that registered, with its Instance ID and all it can do', () => {
    const told = third('message/sip', register(`"Phone" <${PHONE}>;+sip.instance="${URN}";audio;q=0.5`));
    expect(told).toMatchObject({ aor: 'sip:alice@ims.test', complete: false });
    expect(told!.contacts).toMatchObject([
      { uri: PHONE, active: true, displayName: 'Phone', q: 0.5, expires: 600, callId: 'phone', cseq: 7 },
    ]);
    expect([...told!.contacts[0]!.params]).toEqual([
      ['+sip.instance', `"${URN}"`],
      ['audio', ''],
    ]);
  });

  it('give every contact of the 200 with GRUUs and the time granted, and what only the REGISTER says of one', () => {
    const told = several(
      ['application/3gpp-ims+xml', '<ims-3gpp/>'],
      ['message/sip', register(`<${PHONE}>;+sip.instance="${URN}";+g.oma.sip-im`)],
      [
        'message/sip;x=y',
        ok(
          `<${PHONE}>;expires=120;pub-gruu="sip:alice@ims.test;gr=x";temp-gruu="sip:t@ims.test;gr"`,
          '<sip:alice@192.0.2.8>;expires=60',
        ),
      ],
    );
    expect(told).toMatchObject({ complete: true });
    expect(told!.contacts).toMatchObject([
      {
        uri: PHONE,
        expires: 120,
        publicGruu: 'sip:alice@ims.test;gr=x',
        temporaryGruu: { uri: 'sip:t@ims.test;gr' },
        cseq: 7,
      },
      { uri: 'sip:alice@192.0.2.8', expires: 60, callId: undefined },
    ]);
    expect(told!.contacts[0]!.params.has('+g.oma.sip-im')).toBe(true);
  });

  it('say which device left', () => {
    expect(third('message/sip', register(`<${PHONE}>;expires=0`))!.contacts).toMatchObject([
      { active: false },
    ]);
  });

  it.each<[string, string | undefined, string | Uint8Array]>([
    ['none', undefined, ''],
    ['one of another type', 'text/plain', register(`<${PHONE}>`)],
    ['one that is no SIP', 'message/sip', 'hello'],
    ['one cut off', 'message/sip', 'REGISTER sip:ims.test SIP/2.0\r\nTo'],
    ['another request', 'message/sip', register(`<${PHONE}>`).replaceAll('REGISTER', 'MESSAGE')],
    ['a refusal', 'message/sip', ok(`<${PHONE}>`).replace('200 OK', '403 Forbidden')],
    ['a multipart without boundary', 'multipart/mixed', register(`<${PHONE}>`)],
    ['one too large', 'message/sip', register(`<${PHONE}>`) + ' '.repeat(bodyLimits.message)],
    ['octets at random', 'message/sip', Buffer.from([0xff, 0, 13, 10, 13, 10, 0xfe])],
  ])('that are %s are passed over', (_name, type, body) => {
    expect(third(type, body)).toBeUndefined();
  });

  it('with too many parts, or nested too deep, are passed over', () => {
    const part: [string, string] = ['message/sip', register(`<${PHONE}>`)];
    expect(several(...Array.from({ length: bodyLimits.parts + 1 }, () => part))).toBeUndefined();
    let inner = buildMultipart([{ headers: { 'Content-Type': part[0] }, body: part[1] }]);
    for (let depth = 0; depth < bodyLimits.depth; depth++)
      inner = buildMultipart([{ headers: { 'Content-Type': inner.contentType }, body: inner.body }]);
    expect(third(inner.contentType, inner.body)).toBeUndefined();
  });

  it('with contacts that are bad, twice the same or too many leave the others', () => {
    const many = Array.from({ length: 100 }, (_, index) => `<sip:a@192.0.2.1:${6000 + index}>`);
    const told = third('message/sip', ok('<sip:', `<${PHONE}>`, `<${PHONE}>;q=0.1`, ...many))!;
    expect(told.contacts[0]).toMatchObject({ uri: PHONE, q: 1 });
    expect(told.contacts.length).toBe(bodyLimits.contacts - 2);
  });
});
