import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readMessage, textCoding, writeMessage } from '../../../src/imps/codec/coding.js';
import { element, type Element } from '../../../src/imps/codec/element.js';
import type { CspMessage } from '../../../src/imps/codec/envelope.js';
import { defaultLimits } from '../../../src/imps/codec/limits.js';
import { routes } from '../../../src/imps/dispatcher.js';
import { plainTextCodes } from '../../../src/imps/vocabulary/plain-text.js';
import { versions } from '../../../src/imps/vocabulary/versions.js';
import { flatten } from '../tools/dissectors.js';
import { primitiveNames, primitivesOf } from '../tools/primitives.js';
import { sampleNames, sampleXml } from '../tools/samples.js';

const read = (text: string): CspMessage =>
  readMessage(Buffer.from(text), 'application/vnd.wv.csp.sms').message;
const fixture = (name: string): string =>
  readFileSync(resolve(import.meta.dirname, `../../fixtures/imps/text/${name}.txt`), 'utf8');
const primitive = (text: string): Element => read(text).transactions[0]!.primitive!;
/** Names and texts in a primitive, sorted, but those that a pattern leaves out. */
const partsOf = (primitive: Element, without: RegExp): string[] =>
  flatten(primitive)
    .filter((part) => !without.test(part))
    .sort();
const refusal = (text: string | Buffer) => {
  try {
    readMessage(Buffer.from(text), 'application/vnd.wv.csp.sms');
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return 'read';
};

describe('a message in the plain text syntax', () => {
  it('says version, primitive, transaction and session before its parameters', () => {
    expect(read(fixture('service-request'))).toMatchObject({
      version: '1.3',
      sessionType: 'Inband',
      sessionId: 's-7f3a',
      transactions: [{ mode: 'Request', id: '3' }],
    });
    expect(read('WV12PO')).toMatchObject({
      version: '1.2',
      sessionType: 'Outband',
      transactions: [{ id: '' }],
    });
    expect(read('WV13ST14 SI=s ST=200').transactions[0]).toMatchObject({ mode: 'Response', id: '14' });
  });

  it('has quotes around what the syntax itself uses, and doubles quotes inside', () => {
    expect(flatten(primitive(fixture('login-request')))).toEqual([
      '<Login-Request',
      '<ClientID',
      '<URL=wv:lab1$acme@maker.m1.42',
      '<Password=a "b" c',
      '<SessionCookie=1234-1',
      '<TimeToLive=7205',
      '<UserID=wv:ada@example.net',
    ]);
  });

  it('names capabilities and their values by two letters', () => {
    expect(flatten(primitive(fixture('clientcapability-request'))).slice(1)).toEqual([
      '<CapabilityList',
      '<ClientType=MOBILE_PHONE',
      '<InitialDeliveryMethod=P',
      '<MultiTrans=1',
      '<ParserSize=262144',
      '<ServerPollMin=30',
      '<SupportedBearer=SMS',
      '<SupportedCIRMethod=SSMS',
    ]);
  });

  it('writes the service tree as a list of its features', () => {
    expect(flatten(primitive(fixture('service-request'))).slice(2)).toEqual([
      '<Functions',
      '<WVCSPFeat',
      '<FundamentalFeat',
      '<PresenceFeat',
      '<IMFeat',
      '<GroupFeat',
    ]);
    expect(flatten(primitive('WV13SQ3 SI=s RF=(SRCH,MM,contlistfunc) AR=F')).slice(3, -1)).toEqual([
      '<FundamentalFeat',
      '<SearchFunc',
      '<SRCH',
      '<PresenceFeat',
      '<ContListFunc',
      '<IMFeat',
      '<MM',
    ]);
  });

  it('names several users in parentheses, and presence attributes with and without values', () => {
    expect(flatten(primitive(fixture('subscribepresence-request'))).slice(1)).toEqual([
      '<PresenceSubList',
      '<OnlineStatus',
      '<ClientInfo',
      '<ClientType',
      '<ClientProducer',
      '<UserAvailability',
      '<UserID=wv:bob@example.net',
      '<UserID=wv:eve@example.net',
    ]);
    expect(flatten(primitive(fixture('updatepresence-request'))).slice(2)).toEqual([
      '<ClientInfo',
      '<Qualifier=T',
      '<ClientType=MOBILE_PHONE',
      '<ClientProducer=Maker',
      '<UserAvailability',
      '<Qualifier=T',
      '<PresenceValue=AVAILABLE',
    ]);
    expect(
      flatten(primitive(fixture('presencenotification-request'))).filter((part) => /User/.test(part)),
    ).toEqual(['<UserID=wv:bob@example.net', '<UserAvailability', '<UserID=wv:eve@example.net']);
    expect(flatten(primitive('WV13SB6 SI=s PS=UA UI=wv:b@x'))[2]).toBe('<UserAvailability');
  });

  it('names contacts with and without a nickname', () => {
    expect(flatten(primitive(fixture('listmanage-request'))).slice(2, 6)).toEqual([
      '<NickName',
      '<Name=Bob',
      '<UserID=wv:bob@example.net',
      '<UserID=wv:eve@example.net',
    ]);
  });

  it('holds a result with its description', () => {
    expect(flatten(primitive(fixture('login-response-refused'))).slice(3)).toEqual([
      '<Result',
      '<Code=409',
      '<Description=Invalid password',
    ]);
  });

  it.each(['login-request', 'clientcapability-request', 'service-request', 'updatepresence-request'])(
    'is written as phones write it: %s',
    (name) => {
      const text = fixture(name);
      const written = writeMessage(read(text), textCoding).toString();
      // parameters come in any order
      expect(written.split(' ').sort()).toEqual(text.split(' ').sort());
    },
  );

  /** What the syntax leaves out: wrappers of 1.3 lists, the number beside a URL, capabilities a phone has no code for. */
  const withoutPlace =
    /^<(?:ContactListIDList|UserIDList|MSISDN=.*|AnyContent=.*|UDPAddress=.*|OfflineETEMHandling=.*|OnlineETEMHandling=.*|SessionPriority=.*|UserSessionLimit=.*)$/;

  it.each(sampleNames)('says what the XML document says: %s', (name) => {
    const { message } = readMessage(sampleXml(name), 'application/vnd.wv.csp+xml');
    const [transaction] = message.transactions as [CspMessage['transactions'][0]];
    const id = transaction.id.replace(/\D/g, '').slice(0, 3);
    const back = readMessage(
      writeMessage({ ...message, transactions: [{ ...transaction, id }] }, textCoding),
      textCoding.contentType,
    ).message;
    expect(back.transactions[0]).toMatchObject({ mode: transaction.mode, id });
    expect(back.version).toBe(message.version);
    const dropped = name.startsWith('06') ? /^<(?:ContactListIDList|UserIDList|MSISDN=.*)$/ : withoutPlace;
    expect(partsOf(back.transactions[0]!.primitive!, dropped)).toEqual(
      partsOf(transaction.primitive!, dropped),
    );
  });

  it.each(
    versions.flatMap((version) =>
      primitivesOf(version)
        .filter(({ name }) => plainTextCodes().primitiveCodes.has(name))
        .map((given) => ({ version, name: given.name, given })),
    ),
  )('says all that is in $name of $version', ({ version, given }) => {
    const { mode } = plainTextCodes().primitives.get(plainTextCodes().primitiveCodes.get(given.name)!)!;
    const message: CspMessage = {
      version,
      sessionType: 'Inband',
      sessionId: 's-1',
      transactions: [{ mode, id: '7', primitive: given }],
      poll: undefined,
      cir: undefined,
    };
    const back = readMessage(writeMessage(message, textCoding), textCoding.contentType).message;
    expect(partsOf(back.transactions[0]!.primitive!, withoutPlace)).toEqual(partsOf(given, withoutPlace));
  });

  it('has a code for every primitive but those that no server here serves', () => {
    const { primitiveCodes } = plainTextCodes();
    const without = new Set(versions.flatMap(primitiveNames).filter((name) => !primitiveCodes.has(name)));
    expect([...without].filter((name) => !/^(?:Extended|GetSegment|DropSegment)/.test(name))).toEqual([]);
    expect(Object.keys(routes).filter((name) => !primitiveCodes.has(name))).toEqual([]);
  });

  it('keeps any text and any nesting', () => {
    const leaf = fc.string({ unit: 'grapheme' });
    const tree = fc.letrec<{ node: Element }>((tie) => ({
      node: fc.oneof(
        { depthSize: 'small' },
        leaf.map((text) => element('InviteNote', text)),
        fc.array(tie('node'), { minLength: 1, maxLength: 4 }).map((inside) => element('Property', inside)),
      ),
    })).node;
    fc.assert(
      fc.property(tree, (inside) => {
        const primitive = element('SearchPairList', inside);
        const message: CspMessage = {
          version: '1.3',
          sessionType: 'Inband',
          sessionId: 's 1',
          transactions: [{ mode: 'Request', id: '7', primitive: element('Search-Request', primitive) }],
          poll: undefined,
          cir: undefined,
        };
        const back = readMessage(writeMessage(message, textCoding), textCoding.contentType).message;
        expect(flatten(back.transactions[0]!.primitive!.children[0]!)).toEqual(flatten(primitive));
        expect(back.sessionId).toBe('s 1');
      }),
      { numRuns: 300 },
    );
  });

  it('has a code of its own for every primitive, each of them two letters', () => {
    const { primitiveCodes, primitives, elementCodes, elements } = plainTextCodes();
    expect(primitives.size).toBe(primitiveCodes.size);
    expect(elements.size).toBe(elementCodes.size);
    for (const code of [...primitives.keys(), ...elements.keys()]) expect(code).toMatch(/^[A-Z]{2}$/);
  });

  it('takes the codes of an operator in place of its own', () => {
    const codes = plainTextCodes({ primitives: { 'SendMessage-Request': 'MS' } });
    expect(codes.primitives.get('MS')).toEqual({ name: 'SendMessage-Request', mode: 'Request' });
    expect(codes.primitives.has('SM')).toBe(false);
  });

  it('with an unknown code is a primitive that no server has', () => {
    expect(primitive('WV13QQ1 SI=s').name).toBe('Unknown-QQ');
    expect(readMessage(Buffer.from('WV99LR1'), 'application/vnd.wv.csp.sms').versionKnown).toBe(false);
  });

  it.each([
    ['', 'imps-text-malformed'],
    ['hello', 'imps-text-malformed'],
    ['WV13LR1x UI=a', 'imps-text-malformed'],
    ['WV13LR1ab UI=a', 'imps-text-malformed'],
    ['WV13LR1234 UI=a', 'imps-text-malformed'],
    ['WV13LR1 UI', 'imps-text-malformed'],
    ['WV13LR1 =a', 'imps-text-malformed'],
    ['WV13LR1 UI="a', 'imps-text-malformed'],
    ['WV13LR1 UI=(a', 'imps-text-malformed'],
    ['WV13LR1 UI=a)', 'imps-text-malformed'],
    ['WV13LR1 ST=(1,(2,3))', 'imps-text-malformed'],
    ['WV13LR1 CA=((a))', 'read'],
    [`WV13LR1 UI=${'('.repeat(100)}`, 'imps-text-malformed'],
    [`WV13LR1 UI=(${'a,'.repeat(60_000)}a)`, 'imps-too-large'],
    ['a'.repeat(defaultLimits.bytes + 1), 'imps-too-large'],
  ])('that is damaged is refused: %#', (text, code) => {
    expect(refusal(text)).toBe(code);
  });

  it('cut off anywhere is read or refused, and never fails otherwise', () => {
    for (const name of ['login-request', 'updatepresence-request', 'listmanage-request']) {
      const text = fixture(name);
      for (let end = 0; end <= text.length; end++)
        expect(['read', 'imps-text-malformed']).toContain(refusal(text.slice(0, end)));
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const code = refusal(Buffer.concat([Buffer.from('WV13LR1 '), bytes]));
        expect(['read', 'imps-text-malformed', 'imps-too-large']).toContain(code);
      }),
    );
  });
});
