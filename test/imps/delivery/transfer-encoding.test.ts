import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { xmlCoding } from '../../../src/imps/codec/coding.js';
import { child, childrenOf, element, textOf, type Element } from '../../../src/imps/codec/element.js';
import type { Phone } from '../tools/phone.js';
import { userId, world, type World } from '../tools/world.js';

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

const PNG = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0xff, 0x00);
const base64 = (octets: Uint8Array | string): string => Buffer.from(octets).toString('base64');
const accepts = (...encodings: readonly string[]): Element[] =>
  encodings.map((encoding) => element('AcceptedTransferEncoding', encoding));

const sent = (type: string, data: Element, encoding?: string): Element =>
  element(
    'SendMessage-Request',
    element('DeliveryReport', false),
    element(
      'MessageInfo',
      element('ContentType', type),
      encoding === undefined ? undefined : element('ContentEncoding', encoding),
      element('ContentSize', 6),
      element('Recipient', element('User', element('UserID', userId('bob')))),
    ),
    data,
  );
const opaque = (octets: Uint8Array): Element => ({ ...element('ContentData'), bytes: octets });

/** Primitive, encoding and content of what bob is given. */
const given = (primitive: Element | undefined): (string | undefined)[] => [
  primitive?.name,
  textOf(child(primitive, 'MessageInfo'), 'ContentEncoding'),
  textOf(primitive, 'ContentData'),
];

const image = sent('image/png', element('ContentData', base64(PNG)), 'BASE64');
const text = sent('text/plain', element('ContentData', base64('grüße')), 'BASE64');
const octets = sent('image/png', opaque(PNG));

describe('the content of a message', () => {
  it.each<[string, Element, readonly Element[], (string | undefined)[]]>([
    ['in BASE64 stays so where nothing was said', image, [], ['NewMessage', 'BASE64', base64(PNG)]],
    [
      'in BASE64 stays so where that was agreed',
      image,
      accepts('BASE64'),
      ['NewMessage', 'BASE64', base64(PNG)],
    ],
    [
      'that is text comes as text where BASE64 was not',
      text,
      accepts('None'),
      ['NewMessage', undefined, 'grüße'],
    ],
    [
      'that is no text is announced there',
      image,
      accepts('None'),
      ['MessageNotification', 'BASE64', undefined],
    ],
    ['in octets comes as BASE64', octets, accepts('BASE64', 'None'), ['NewMessage', 'BASE64', base64(PNG)]],
    [
      'in octets is announced without BASE64',
      octets,
      accepts('None'),
      ['MessageNotification', undefined, undefined],
    ],
  ])('%s', async (_title, request, capabilities, expected) => {
    const bob = await here.phone('bob', { coding: xmlCoding }).start(...capabilities);
    expect(await alice.code(request)).toBe(200);
    expect(given((await bob.drain())[0])).toEqual(expected);
  });

  it('that a client has no encoding for is 415 when it asks, and whole for another client', async () => {
    const bob = await here.phone('bob').start(...accepts('None'));
    await alice.request(image);
    await bob.drain();
    const list = await bob.request(element('GetMessageList-Request'));
    const [info] = childrenOf(child(list, 'MessageInfoList'), 'MessageInfo');
    const ask = element('GetMessage-Request', element('MessageID', textOf(info, 'MessageID') ?? ''));
    expect(await bob.code(ask)).toBe(415);
    const other = await here.phone('bob', { clientId: 'wv:other' }).start(...accepts('BASE64'));
    expect(given(await other.request(ask))).toEqual(['GetMessage-Response', 'BASE64', base64(PNG)]);
  });

  it('is agreed on in the encodings that there are', async () => {
    const bob = here.phone('bob');
    await bob.login2();
    const agreed = await bob.negotiate(...accepts('GZIP', 'Base64'));
    const list = child(agreed, 'AgreedCapabilityList');
    expect(childrenOf(list, 'AcceptedTransferEncoding').map((one) => one.text)).toEqual(['Base64']);
  });
});
