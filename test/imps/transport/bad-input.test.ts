import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  readMessage,
  textCoding,
  wbxmlCoding,
  writeMessage,
  xmlCoding,
  type Coding,
} from '../../../src/imps/codec/coding.js';
import { child, element, textOf, type Element } from '../../../src/imps/codec/element.js';
import type { CspMessage } from '../../../src/imps/codec/envelope.js';
import { tokenTables } from '../../../src/imps/vocabulary/tables.js';
import { group, property } from '../tools/groups.js';
import { codeOf, type Phone } from '../tools/phone.js';
import { sampleNames, sampleWbxml } from '../tools/samples.js';
import { envelopeOf, postTo } from '../tools/wire.js';
import { world, type World } from '../tools/world.js';

let here: World;
let alice: Phone;
beforeEach(async () => {
  here = await world();
  alice = await here.phone('alice').start();
});
afterEach(async () => {
  expect(here.errors).toEqual([]);
  await here.close();
});

const envelope = (more: Partial<CspMessage> = {}): CspMessage => envelopeOf(alice, more);
const asking = (primitive: Element | undefined, more: Partial<CspMessage> = {}): CspMessage =>
  envelope({ transactions: [{ mode: 'Request', id: '1', primitive }], ...more });
const post = (body: string | Buffer, type: string): Promise<Response> => postTo(here, body, type);

/** What an input is answered with: `HTTP 400`, or the CSP status. */
async function answerTo(body: string | Buffer, { contentType }: Coding): Promise<string> {
  const response = await post(body, contentType);
  const bytes = Buffer.from(await response.arrayBuffer());
  if (response.status !== 200) return `HTTP ${response.status}`;
  const { message } = readMessage(bytes, contentType);
  return String(codeOf(message.transactions[0]!.primitive!));
}

const wbxml = (message = envelope()): Buffer => writeMessage(message, wbxmlCoding);
const xml = (message = envelope()): string => writeMessage(message, xmlCoding).toString();
/** WBXML 1.3 of CSP 1.3 in UTF-8 with what follows the header. */
const raw = (hex: string): Buffer => Buffer.from(`03126a${hex}`, 'hex');
/** Octets in the place of others. */
const replaced = (octets: Buffer, hex: string, by: string): Buffer => {
  const at = octets.indexOf(Buffer.from(hex, 'hex'));
  return Buffer.concat([
    octets.subarray(0, at),
    Buffer.from(by, 'hex'),
    octets.subarray(at + hex.length / 2),
  ]);
};

/** Code page and token of the primitive that the messages here hold. */
const cell = tokenTables['1.3'].tokens.get('GetList-Request')!;
const getListTokens = Buffer.from([0, cell >> 6, cell & 0x3f]).toString('hex');

/** The message with a primitive of that name, which no token stands for (LITERAL of WAP-192 §5.8.2). */
const literal = (name: string): Buffer => {
  const octets = replaced(wbxml(), getListTokens, '0400');
  const table = Buffer.from(`${name}\0`);
  return Buffer.concat([octets.subarray(0, 3), Buffer.from([table.length]), table, octets.subarray(4)]);
};

/** An input, what it is answered with, and the event that counts it. */
const cases: readonly [name: string, input: () => string | Buffer, answer: string, event: string][] = [
  ['WBXML without a root', () => raw('00'), 'HTTP 400', 'imps-wbxml-malformed'],
  ['WBXML with a string table that is not there', () => raw('7f'), 'HTTP 400', 'imps-wbxml-malformed'],
  ['a string table offset outside', () => raw('0049840501'), 'HTTP 400', 'imps-wbxml-malformed'],
  [
    'elements 40 deep',
    () => raw(`00${'6d'.repeat(40)}${'01'.repeat(40)}`),
    'HTTP 400',
    'imps-wbxml-malformed',
  ],
  [
    'more elements than any message has',
    () => Buffer.concat([raw('0049'), Buffer.alloc(60_000, 0x2d), Buffer.from([1])]),
    'HTTP 413',
    'imps-too-large',
  ],
  [
    'a string of the table that is repeated without end',
    () =>
      Buffer.concat([
        raw('a000'),
        Buffer.alloc(4095, 0x61),
        Buffer.from('0049', 'hex'),
        Buffer.alloc(6000, '8300', 'hex'),
        Buffer.from([1]),
      ]),
    'HTTP 413',
    'imps-too-large',
  ],
  [
    'a primitive of an unknown code page',
    () => replaced(wbxml(), getListTokens, '00a021'),
    '506',
    'imps.service-not-agreed',
  ],
  [
    'a primitive of an unknown token',
    () => replaced(wbxml(), getListTokens, '000b3f'),
    '506',
    'imps.service-not-agreed',
  ],
  ...['constructor', 'toString', '__proto__', 'hasOwnProperty'].map((name): (typeof cases)[number] => [
    `a primitive ${name} of WBXML`,
    () => literal(name),
    '506',
    'imps.service-not-agreed',
  ]),
  ...['isPrototypeOf', 'toLocaleString', 'propertyIsEnumerable'].map((name): (typeof cases)[number] => [
    `a primitive ${name} of XML`,
    () => xml().replace(/<GetList-Request[^>]*>/, `<${name}/>`),
    '506',
    'imps.service-not-agreed',
  ]),
  [
    'XML with an entity that every object has',
    () => xml().replace('<Session>', '<Session>&toString;'),
    'HTTP 400',
    'imps-xml-malformed',
  ],
  ['a value token that nobody knows', () => replaced(wbxml(), '8020', '81208020'), '402', 'imps.refused-402'],
  [
    'XML with an entity of its own',
    () => xml().replace('<Session>', '<Session>&a;'),
    'HTTP 400',
    'imps-xml-malformed',
  ],
  [
    'XML that declares entities',
    () => xml().replace('?>', '?><!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;&b;&b;">]>'),
    'HTTP 400',
    'imps-xml-malformed',
  ],
  ['XML with tags that cross', () => xml().replace('</Session>', ''), 'HTTP 400', 'imps-xml-malformed'],
  [
    'XML without SessionDescriptor',
    () => xml().replace(/<SessionDescriptor>.*<\/SessionDescriptor>/, ''),
    'HTTP 400',
    'imps-message-malformed',
  ],
  [
    'a namespace that is none of CSP',
    () => xml().replace('IMPS-CSP1.3', 'IMPS-CSP9.9'),
    '505',
    'imps.refused-505',
  ],
  ['a message without namespace', () => xml().replace(/ xmlns="[^"]*CSP1.3"/, ''), '505', 'imps.refused-505'],
  ['no primitive', () => wbxml(asking(undefined)), '400', 'imps.refused-400'],
  [
    'a primitive that only a server sends',
    () => wbxml(asking(element('NewMessage'))),
    '506',
    'imps.service-not-agreed',
  ],
  [
    'a response in request mode',
    () => wbxml(asking(element('GetList-Response'))),
    '506',
    'imps.service-not-agreed',
  ],
  ['an unknown session', () => wbxml(envelope({ sessionId: 'made-up' })), '604', 'imps.no-session'],
  [
    'no session',
    () => wbxml(envelope({ sessionId: undefined, sessionType: 'Outband' })),
    '604',
    'imps.no-session',
  ],
  [
    'a second primitive in one TransactionContent',
    () => xml().replace('</TransactionContent>', '<KeepAlive-Request/></TransactionContent>'),
    'HTTP 400',
    'imps-message-malformed',
  ],
  [
    'a mandatory element left out',
    () => wbxml(asking(element('DeleteList-Request'))),
    '752',
    'imps.refused-752',
  ],
];

describe('bad input', () => {
  it.each(cases)('%s is answered and counted', async (_name, input, expected, event) => {
    const body = input();
    expect(await answerTo(body, typeof body === 'string' ? xmlCoding : wbxmlCoding)).toBe(expected);
    expect(here.trail.counts().get(event)).toBe(1);
    // and the phone goes on
    expect(codeOf(await alice.request(element('KeepAlive-Request')))).toBe(200);
  });

  it('is not XML in another order, which is read by name', async () => {
    const text = xml();
    const [, descriptor] = /(<SessionDescriptor>.*<\/SessionDescriptor>)/.exec(text)!;
    const turned = text.replace(descriptor!, '').replace('</Session>', `${descriptor}</Session>`);
    expect(await answerTo(turned, xmlCoding)).toBe('NaN'); // a response without Result
    expect(here.trail.recent().filter(({ outcome }) => outcome === 'refused')).toEqual([]);
  });

  it.each([
    ['another version', (text: string) => text.replace('IMPS-TRC1.3', 'WV-TRC1.2')],
    ['nobody', (text: string) => text.replace('IMPS-TRC1.3', 'nobody')],
    ['none', (text: string) => text.replace(/ xmlns="[^"]*TRC1\.3"/, '')],
    ['another version, of presence', (text: string) => text.replace('IMPS-PA1.3', 'WV-PA1.2')],
  ])('is not a namespace below the message of %s: the one of the message decides', async (_title, change) => {
    const list = element('PresenceSubList', element('StatusText'));
    const ask = element(
      'GetPresence-Request',
      element('UserIDList', element('UserID', alice.options.user)),
      list,
    );
    const text = change(xml(asking(ask)));
    expect(text).not.toBe(xml(asking(ask)));
    const answer = await (await post(text, xmlCoding.contentType)).text();
    expect(answer).toContain('<GetPresence-Response>');
    const namespaces = [...answer.matchAll(/DTD\/([A-Z0-9.-]+)"/g)].map(([, name]) => name);
    expect(namespaces).toEqual([
      'IMPS-CSP1.3',
      'IMPS-TRC1.3',
      ...namespaces.slice(2).map(() => 'IMPS-PA1.3'),
    ]);
  });

  it('of a name that every object has is shown as it is, and is no parameter, property or content type', async () => {
    const status = element('StatusText', element('Qualifier', true), element('toLocaleString', 'x'));
    const text = xml(asking(element('UpdatePresence-Request', element('PresenceSubList', status))));
    expect(await answerTo(text, xmlCoding)).toBe('200');
    const own = element('UserIDList', element('UserID', alice.options.user));
    const wanted = element('PresenceSubList', element('StatusText'));
    const shown = await alice.request(element('GetPresence-Request', own, wanted));
    expect(shown.name).toBe('GetPresence-Response');
    expect(JSON.stringify(shown)).toContain('"toLocaleString"');
    const plain = `WV13PO1 SI=${alice.sessionId} constructor=1 valueOf=(a,b)`;
    expect((await post(plain, textCoding.contentType)).status).toBe(200);
    for (const name of ['constructor', 'valueOf', '__proto__'])
      expect(
        await alice.code(
          element('CreateGroup-Request', group, element('GroupProperties', property(name, 'T'))),
        ),
        name,
      ).toBe(806);
    expect((await post(xml(), 'constructor')).status).toBe(415);
  });

  it('in a primitive out of state is 506: what was not agreed', async () => {
    const phone = here.phone('bob');
    await phone.login2(element('Functions', element('WVCSPFeat', element('PresenceFeat'))));
    expect(await phone.code(element('GetMessageList-Request'))).toBe(506);
    expect(here.trail.counts().get('imps.service-not-agreed')).toBe(1);
  });

  it('WBXML cut at any octet is refused', async () => {
    const whole = wbxml();
    for (let length = 0; length < whole.length; length++)
      expect(await answerTo(whole.subarray(0, length), wbxmlCoding), `${length}`).toBe('HTTP 400');
    expect(here.trail.counts().get('imps-wbxml-malformed')).toBe(whole.length);
  });
});

describe('bad input over HTTP', () => {
  it.each([
    ['another path', '/', 'GET', 404],
    ['GET', '/csp', 'GET', 405],
    ['PUT', '/csp', 'PUT', 405],
  ])('with %s is refused', async (_title, path, method, code) => {
    expect((await fetch(`${here.url}${path}`, { method })).status).toBe(code);
  });

  it.each([
    ['another content type', 'x', 'text/plain', 415],
    ['XML that is none', '<a>', xmlCoding.contentType, 400],
    ['XML that is no CSP message', '<a/>', xmlCoding.contentType, 400],
    [
      'a message without transaction',
      '<WV-CSP-Message><Session><SessionDescriptor/></Session></WV-CSP-Message>',
      xmlCoding.contentType,
      400,
    ],
    ['an unknown charset', '<a/>', `${xmlCoding.contentType}; charset=klingon`, 415],
    ['nothing', '', wbxmlCoding.contentType, 400],
    ['a body over the limit', ' '.repeat(1_048_577), xmlCoding.contentType, 413],
  ])('with %s is refused', async (_title, body, type, code) => {
    expect((await post(body, type)).status).toBe(code);
  });

  it('without end over the limit is cut off', async () => {
    const socket = connect(Number(new URL(here.url).port), '127.0.0.1');
    const answered = new Promise<string>((resolve) =>
      socket.once('data', (data) => resolve(data.toString())),
    );
    socket.on('error', () => undefined); // the server closes while we still write
    socket.write(
      `POST /csp HTTP/1.1\r\nHost: x\r\nContent-Type: ${wbxmlCoding.contentType}\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    const chunk = Buffer.alloc(65_536);
    for (let sent = 0; sent < 20; sent++)
      socket.write(Buffer.concat([Buffer.from('10000\r\n'), chunk, Buffer.from('\r\n')]));
    expect(await answered).toMatch(/^HTTP\/1\.1 413 /);
    socket.destroy();
  });

  it('in an unknown version is 505, whatever is asked', async () => {
    const text = writeMessage(envelope(), xmlCoding).toString().replace('IMPS-CSP1.3', 'IMPS-CSP9.9');
    const response = await post(text, xmlCoding.contentType);
    const { message: answer } = readMessage(Buffer.from(await response.arrayBuffer()), xmlCoding.contentType);
    expect(codeOf(answer.transactions[0]!.primitive!)).toBe(505);
  });

  it('answers a login in an unknown version with a Login-Response of 505, that has its ClientID and no session', async () => {
    const phone = here.phone('alice');
    const login = phone.loginElement(element('Password', 'alice-secret'));
    const text = writeMessage(asking(login), xmlCoding).toString().replace('IMPS-CSP1.3', 'IMPS-CSP9.9');
    const response = await post(text, xmlCoding.contentType);
    const { message: answer } = readMessage(Buffer.from(await response.arrayBuffer()), xmlCoding.contentType);
    const { primitive } = answer.transactions[0]!;
    expect([primitive?.name, codeOf(primitive!)]).toEqual(['Login-Response', 505]);
    expect(textOf(child(primitive, 'ClientID'), 'URL')).toBe('wv:test1$lab@maker.m1.1');
    expect(child(primitive, 'SessionID')).toBeUndefined();
  });

  it('with a value that nobody knows is 402', async () => {
    const body = writeMessage(envelope(), wbxmlCoding);
    const at = body.indexOf(Buffer.from('8020', 'hex')); // TransactionMode Request
    const defect = Buffer.concat([
      body.subarray(0, at),
      Buffer.from('81208020', 'hex').subarray(0, 2),
      body.subarray(at),
    ]);
    const response = await post(defect, wbxmlCoding.contentType);
    const { message: answer } = readMessage(
      Buffer.from(await response.arrayBuffer()),
      wbxmlCoding.contentType,
    );
    expect(codeOf(answer.transactions[0]!.primitive!)).toBe(402);
  });

  it('without primitive is 400, and beyond 32 transactions too', async () => {
    const none = await alice.post({ transactions: [{ mode: 'Request', id: '1', primitive: undefined }] });
    expect(codeOf(none!.transactions[0]!.primitive!)).toBe(400);
    const many = await alice.post({
      transactions: Array.from({ length: 40 }, (_, index) => ({
        mode: 'Request',
        id: `${index}`,
        primitive: element('KeepAlive-Request'),
      })),
    });
    const codes = many!.transactions.map(({ primitive }) => codeOf(primitive!));
    expect([
      codes.filter((code) => code === 200).length,
      codes.filter((code) => code === 400).length,
    ]).toEqual([32, 8]);
  });

  it('of every primitive without its content is answered with a status and never fails', async () => {
    const { routes } = await import('../../../src/imps/dispatcher.js');
    for (const name of Object.keys(routes)) {
      if (name === 'Logout-Request') continue;
      const answer = await alice.request(element(name));
      expect(Number.isNaN(codeOf(answer)) || codeOf(answer) < 1000, name).toBe(true);
      expect(codeOf(answer), name).not.toBe(500);
    }
  });

  it(
    'of samples with any octet changed is always answered, and never breaks the server',
    { timeout: 60_000 },
    async () => {
      let posts = 0;
      for (const name of sampleNames.filter((_, index) => index % 3 === 0)) {
        const whole = sampleWbxml(name);
        for (let at = 0; at < whole.length; at += 11) {
          const changed = Buffer.from(whole);
          changed[at] = (changed[at]! + 0x55) & 0xff;
          const response = await post(changed, wbxmlCoding.contentType);
          await response.arrayBuffer();
          expect([200, 400, 415]).toContain(response.status);
          posts++;
        }
      }
      expect(posts).toBeGreaterThan(100);
    },
  );
});
