import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compileProfile, type TriggerSubject } from '../../src/core/triggers/compile.js';
import type { ServicePointTrigger, TriggerPoint } from '../../src/core/triggers/criteria.js';
import { parseUserProfile } from '../../src/core/triggers/user-profile.js';
import { Headers } from '../../src/sip/message/headers.js';
import { SipRequest } from '../../src/sip/message/message.js';

const subject = (
  method: string,
  more: Partial<TriggerSubject> & { headers?: Record<string, string>; body?: string; uri?: string } = {},
): TriggerSubject => {
  const { headers = {}, body = '', uri = 'sip:bob@ims.test', ...rest } = more;
  const request = new SipRequest(method, uri, Headers.from(headers), Buffer.from(body));
  return { request, sessionCase: 'originating', registered: true, ...rest };
};

const holds = (trigger: TriggerPoint | undefined, against: TriggerSubject): boolean =>
  compileProfile({
    name: 'test',
    criteria: [{ priority: 1, server: 'service', defaultHandling: 'continued', trigger }],
  })[0]!.holds(against);

const one = (trigger: ServicePointTrigger): TriggerPoint => ({ form: 'cnf', groups: [[trigger]] });
const sdp = 'v=0\r\nm=message 2855 TCP/MSRP *\r\na=accept-types:message/cpim\r\n';
const code = (value: string): unknown => expect.objectContaining({ code: value });

describe('an initial filter criterion', () => {
  it('without trigger point holds for every request', () => {
    expect(holds(undefined, subject('OPTIONS'))).toBe(true);
  });

  it('in conjunctive form holds when every group has a trigger that holds', () => {
    const point: TriggerPoint = {
      form: 'cnf',
      groups: [[{ method: 'INVITE' }, { method: 'MESSAGE' }], [{ sessionCase: 'originating' }]],
    };
    expect(holds(point, subject('MESSAGE'))).toBe(true);
    expect(holds(point, subject('SUBSCRIBE'))).toBe(false);
    expect(holds(point, subject('INVITE', { sessionCase: 'terminating-registered' }))).toBe(false);
  });

  it('in disjunctive form holds when all triggers of one group hold', () => {
    const point: TriggerPoint = {
      form: 'dnf',
      groups: [[{ method: 'INVITE' }, { sessionCase: 'terminating-unregistered' }], [{ method: 'MESSAGE' }]],
    };
    expect(holds(point, subject('MESSAGE'))).toBe(true);
    expect(holds(point, subject('INVITE'))).toBe(false);
    expect(holds(point, subject('INVITE', { sessionCase: 'terminating-unregistered' }))).toBe(true);
  });

  it.each<[string, ServicePointTrigger, TriggerSubject, boolean]>([
    ['a negated method', { method: 'INVITE', negated: true }, subject('MESSAGE'), true],
    ['the Request-URI', { requestUri: '^sip:bob@' }, subject('INVITE'), true],
    [
      'the Request-URI by the character classes of POSIX',
      { requestUri: '^tel:[+][[:digit:]]{5,15}$' },
      subject('INVITE', { uri: 'tel:+15550100001' }),
      true,
    ],
    [
      'at once a Request-URI that an expression of nested repetitions does not match',
      { requestUri: '^(sip:)?([a-z]+)+@$' },
      subject('INVITE', { uri: `sip:${'a'.repeat(2000)}@ims.test` }),
      false,
    ],
    ['another Request-URI', { requestUri: '^tel:' }, subject('INVITE'), false],
    [
      'a header field that is there',
      { header: { name: 'x-a' } },
      subject('INVITE', { headers: { 'X-A': '' } }),
      true,
    ],
    ['a header field that is not', { header: { name: 'X-A' } }, subject('INVITE'), false],
    [
      'the content of a header field',
      { header: { name: 'Accept-Contact', content: 'cpm\\.session' } },
      subject('INVITE', { headers: { 'Accept-Contact': '*;x="urn:cpm.session"' } }),
      true,
    ],
    [
      'a line of the session description',
      { sdp: { line: 'm', content: 'TCP/MSRP' } },
      subject('INVITE', { headers: { 'Content-Type': 'application/sdp' }, body: sdp }),
      true,
    ],
    [
      'a line of a session description that is one part of several',
      { sdp: { line: 'm=', content: 'MSRP' } },
      subject('INVITE', {
        headers: { 'Content-Type': 'multipart/mixed;boundary=b' },
        body: `--b\r\nContent-Type: application/sdp\r\n\r\n${sdp}\r\n--b--\r\n`,
      }),
      true,
    ],
    [
      'a session description in a body of another type',
      { sdp: { line: 'm' } },
      subject('MESSAGE', { headers: { 'Content-Type': 'text/plain' }, body: sdp }),
      false,
    ],
    [
      'a multipart body that cannot be read',
      { sdp: { line: 'm' } },
      subject('INVITE', { headers: { 'Content-Type': 'multipart/mixed' }, body: sdp }),
      false,
    ],
    [
      'the kind of a registration',
      { method: 'REGISTER', registrationTypes: ['initial'] },
      subject('REGISTER', { registrationType: 'initial' }),
      true,
    ],
    [
      'another kind of registration',
      { method: 'REGISTER', registrationTypes: ['initial'] },
      subject('REGISTER', { registrationType: 're-registration' }),
      false,
    ],
    [
      'an originating user without device',
      { sessionCase: 'originating-unregistered' },
      subject('INVITE', { registered: false }),
      true,
    ],
  ])('tells %s', (_name, trigger, against, expected) => {
    expect(holds(one(trigger), against)).toBe(expected);
  });

  it.each<[string, ServicePointTrigger, TriggerSubject]>([
    ['method', { method: 'INVITE' }, subject('INVITE')],
    [
      'kind of registration',
      { method: 'REGISTER', registrationTypes: ['de-registration'] },
      subject('REGISTER', { registrationType: 'de-registration' }),
    ],
    ['Request-URI', { requestUri: 'bob' }, subject('INVITE')],
    ['header field', { header: { name: 'X-A' } }, subject('INVITE', { headers: { 'X-A': '1' } })],
    [
      'content of a header field',
      { header: { name: 'X-A', content: '^1' } },
      subject('INVITE', { headers: { 'X-A': '1' } }),
    ],
    ['originating', { sessionCase: 'originating' }, subject('INVITE')],
    [
      'terminating registered',
      { sessionCase: 'terminating-registered' },
      subject('INVITE', { sessionCase: 'terminating-registered' }),
    ],
    [
      'terminating unregistered',
      { sessionCase: 'terminating-unregistered' },
      subject('INVITE', { sessionCase: 'terminating-unregistered' }),
    ],
    [
      'originating unregistered',
      { sessionCase: 'originating-unregistered' },
      subject('INVITE', { registered: false }),
    ],
    [
      'line of a session description',
      { sdp: { line: 'a' } },
      subject('INVITE', { headers: { 'Content-Type': 'application/sdp' }, body: sdp }),
    ],
    [
      'content of a session description',
      { sdp: { line: 'm', content: 'MSRP' } },
      subject('INVITE', { headers: { 'Content-Type': 'application/sdp' }, body: sdp }),
    ],
  ])(
    'joins a condition on the %s with others in both forms, and turns it round',
    (_name, trigger, against) => {
      const never: ServicePointTrigger = { method: 'NEVER' };
      const always: ServicePointTrigger = { ...never, negated: true };
      const turned = { ...trigger, negated: true };
      const results = (['cnf', 'dnf'] as const).map((form) =>
        [[[trigger, never]], [[trigger], [never]], [[turned, always]], [[turned], [always]]].map((groups) =>
          holds({ form, groups }, against),
        ),
      );
      expect(results).toEqual([
        [true, false, true, false],
        [false, true, false, true],
      ]);
    },
  );

  it.each<[string, TriggerPoint]>([
    ['a pattern that is none', one({ requestUri: '(' })],
    ['a pattern too long', one({ requestUri: 'a'.repeat(513) })],
    ['two conditions in one trigger', one({ method: 'INVITE', requestUri: 'a' })],
    ['no condition', one({ negated: true })],
    ['an empty group', { form: 'dnf', groups: [[]] }],
    ['registration types of another method', one({ method: 'INVITE', registrationTypes: ['initial'] })],
    ['a line type of two letters', one({ sdp: { line: 'mm' } })],
    ['too many triggers', { form: 'cnf', groups: [Array.from({ length: 257 }, () => ({ method: 'A' }))] }],
  ])('is refused with %s', (_name, trigger) => {
    expect(() => holds(trigger, subject('INVITE'))).toThrow(code('profile-invalid'));
  });

  it.each<[string, TriggerPoint | undefined, boolean]>([
    ['without trigger point', undefined, true],
    ['on REGISTER', one({ method: 'REGISTER' }), true],
    ['on another method', one({ method: 'INVITE' }), false],
    ['on all but another method', one({ method: 'INVITE', negated: true }), true],
    ['on a header field', one({ header: { name: 'X-A' } }), true],
    ['of a callee', one({ sessionCase: 'terminating-registered' }), false],
    [
      'in conjunctive form with a method of several',
      {
        form: 'cnf',
        groups: [[{ method: 'INVITE' }, { method: 'REGISTER' }], [{ sessionCase: 'originating' }]],
      },
      true,
    ],
    [
      'in disjunctive form with methods of others',
      { form: 'dnf', groups: [[{ method: 'INVITE' }, { requestUri: 'a' }], [{ method: 'MESSAGE' }]] },
      false,
    ],
  ])('%s is known to tell of registrations, or not', (_name, trigger, expected) => {
    const criterion = { priority: 1, server: 'sip:as.test', defaultHandling: 'continued', trigger } as const;
    const [compiled] = compileProfile({ name: 'test', criteria: [criterion] });
    expect(compiled!.tellsOfRegistrations).toBe(expected);
  });

  it('is refused with a server whose URI cannot be read', () => {
    const criterion = { priority: 1, server: 'sip:[as', defaultHandling: 'continued' } as const;
    expect(() => compileProfile({ name: 'test', criteria: [criterion] })).toThrow(code('profile-invalid'));
  });

  it('is refused beside another one of the same priority', () => {
    const criterion = { priority: 1, server: 'a', defaultHandling: 'continued' } as const;
    expect(() => compileProfile({ name: 'test', criteria: [criterion, criterion] })).toThrow(
      code('profile-invalid'),
    );
  });
});

describe('the XML user profile of Cx', () => {
  const document = readFileSync(join(import.meta.dirname, 'fixtures/ims-subscription.xml'), 'utf8');

  it('gives identities and criteria', () => {
    expect(parseUserProfile(Buffer.from(document))).toEqual({
      privateId: 'alice@ims.test',
      serviceProfiles: [
        {
          identities: [
            { uri: 'sip:alice-private@ims.test', barred: true },
            { uri: 'sip:alice@ims.test', barred: false },
          ],
          criteria: [
            {
              priority: 10,
              server: 'sip:as.ims.test:5090;transport=tcp',
              defaultHandling: 'terminated',
              profilePart: 'registered',
              trigger: {
                form: 'cnf',
                groups: [
                  [{ method: 'INVITE' }, { method: 'MESSAGE' }],
                  [{ negated: true, header: { name: 'Accept-Contact', content: '<none>' } }],
                  [{ sessionCase: 'terminating-registered' }],
                ],
              },
            },
            {
              priority: 0,
              server: 'sip:pf.ims.test',
              defaultHandling: 'continued',
              serviceInfo: 'level=gold',
              includeRegisterRequest: true,
              includeRegisterResponse: true,
              trigger: {
                form: 'dnf',
                groups: [[{ method: 'REGISTER', registrationTypes: ['initial', 'de-registration'] }]],
              },
            },
          ],
        },
      ],
    });
  });

  it('has criteria that are asked in order of priority', () => {
    const [profile] = parseUserProfile(Buffer.from(document)).serviceProfiles;
    const compiled = compileProfile({ name: 'cx', criteria: profile!.criteria });
    expect(compiled.map(({ criterion }) => criterion.priority)).toEqual([0, 10]);
    expect(compiled[1]!.holds(subject('INVITE', { sessionCase: 'terminating-registered' }))).toBe(true);
    expect(
      compiled[1]!.holds(subject('INVITE', { sessionCase: 'terminating-registered', registered: false })),
    ).toBe(false);
  });

  it.each([
    ['a document type', `<!DOCTYPE a [<!ENTITY x "y">]>${document.slice(document.indexOf('<IMS'))}`],
    ['text that is not well-formed', document.slice(0, -20)],
    ['another root', '<Other/>'],
    ['no service profile', '<IMSSubscription><PrivateID>a@b</PrivateID></IMSSubscription>'],
    ['elements nested too deep', '<IMSSubscription>'.repeat(40) + '</IMSSubscription>'.repeat(40)],
    ['too many octets', document + ' '.repeat(300_000)],
    ['a priority that is no number', document.replace('<Priority>10<', '<Priority>ten<')],
    ['a session case out of range', document.replace('<SessionCase>1<', '<SessionCase>9<')],
    ['a trigger without condition', document.replace('<SessionCase>1</SessionCase>', '')],
  ])('is refused with %s', (_name, text) => {
    expect(() => parseUserProfile(Buffer.from(text))).toThrow(code('profile-malformed'));
  });
});
