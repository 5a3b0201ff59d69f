import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { wbxmlCoding, xmlCoding } from '../../../src/imps/codec/coding.js';
import { child, childrenOf, element, textOf, type Element } from '../../../src/imps/codec/element.js';
import { presenceAttributes } from '../../../src/imps/vocabulary/presence.js';
import { codeOf, type Phone } from '../tools/phone.js';
import { userId, world, type World } from '../tools/world.js';

let here: World;
let alice: Phone;
beforeAll(async () => {
  here = await world({ limits: { contacts: 20 } });
  alice = await here.phone('alice').start();
  const all = element(
    'PresenceSubList',
    presenceAttributes.map(({ name }) => element(name)),
  );
  await alice.request(element('CreateAttributeList-Request', all, element('DefaultList', true)));
});
afterEach(() => expect(here.errors).toEqual([]));
afterAll(() => here.close());

type Content = readonly (readonly [string, string | Content])[];
const built = (content: Content): Element[] =>
  content.map(([name, inner]) => element(name, typeof inner === 'string' ? inner : built(inner)));
const shownAs = ({ name, children, text }: Element): string =>
  children.length === 0 ? `${name}=${text}` : `${name}(${children.map(shownAs).join(' ')})`;

interface Case {
  readonly name: string;
  /** What is published beside the Qualifier. */
  readonly content: Content;
  /** What readers before a version do not get of it; a version that has nothing of it is left out. */
  readonly unknown?: { readonly '1.1'?: readonly string[]; readonly '1.2'?: readonly string[] };
}

const value = (text: string): Content => [['PresenceValue', text]];
/** Every attribute that a client publishes, with all that its structure has (csp-primitives, PresenceSubList). */
const cases: readonly Case[] = [
  {
    name: 'ClientInfo',
    content: [
      [
        'ClientContentLimit',
        [
          ['AcceptedContentType', 'image/png'],
          ['AnyContent', 'F'],
          ['MaxPushLength', '4000'],
        ],
      ],
      ['ClientType', 'MOBILE_PHONE'],
      ['DevManufacturer', 'Maker'],
      ['ClientProducer', 'Lab'],
      ['Model', 'M1'],
      ['ClientVersion', '1.0'],
      ['Language', 'sv'],
      ['ClientIMPriority', '7'],
      ['ApplicationID', 'chess'],
    ],
    unknown: {
      '1.1': ['ClientContentLimit', 'ClientIMPriority', 'ApplicationID'],
      '1.2': ['ClientContentLimit', 'ClientIMPriority', 'ApplicationID'],
    },
  },
  {
    name: 'ClientContentLimit',
    content: [
      ['AcceptedContentType', 'text/plain'],
      ['AcceptedTextContentLength', '500'],
      ['AcceptedTransferEncoding', 'BASE64'],
      ['MaxPullLength', '9000'],
      ['PlainTextCharset', '106'],
    ],
  },
  { name: 'TimeZone', content: [['Zone', '+0100']] },
  {
    name: 'GeoLocation',
    content: [
      ['Longitude', '18.07'],
      ['Latitude', '59.33'],
      ['Altitude', '28'],
      ['Accuracy', '50'],
    ],
  },
  {
    name: 'Address',
    content: [
      ['Country', 'SE'],
      ['City', 'Luleå'],
      ['Street', 'Storgatan'],
      ['Crossing1', 'Nygatan'],
      ['Crossing2', 'Köpmangatan'],
      ['Building', '7'],
      ['NamedArea', 'Centrum'],
      ['Accuracy', '10'],
    ],
  },
  { name: 'FreeTextLocation', content: value('by the harbour') },
  { name: 'PLMN', content: value('24001') },
  {
    name: 'CommCap',
    content: [
      [
        'CommC',
        [
          ['Cap', 'CALL'],
          ['Status', 'OPEN'],
          ['Contact', '+46701234567'],
          ['Note', 'at work'],
        ],
      ],
      [
        'CommC',
        [
          ['Cap', 'IM'],
          ['Status', 'OPEN'],
        ],
      ],
    ],
  },
  { name: 'UserAvailability', content: value('DISCREET') },
  {
    name: 'PreferredContacts',
    content: [
      [
        'AddrPref',
        [
          ['PrefC', 'SMS'],
          ['Caddr', '+46701234567'],
          ['Cstatus', 'OPEN'],
          ['Cname', 'mobile'],
          ['Cpriority', '1'],
        ],
      ],
    ],
  },
  { name: 'PreferredLanguage', content: value('sv') },
  { name: 'StatusText', content: value('Grüße & <mer>') },
  { name: 'StatusMood', content: value('IN_LOVE') },
  { name: 'Alias', content: value('Ally') },
  {
    name: 'StatusContent',
    content: [
      ['DirectContent', 'aGVq'],
      ['ContentType', 'text/plain'],
    ],
  },
  { name: 'ContactInfo', content: [['ContainedvCard', 'BEGIN:VCARD\nFN:Alice\nEND:VCARD']] },
  {
    name: 'InfoLink',
    content: [
      [
        'Inf_link',
        [
          ['Link', 'http://www.example.net/alice'],
          ['Text', 'my page'],
          ['ContentType', 'text/html'],
        ],
      ],
    ],
  },
];

const readers = (['1.1', '1.2', '1.3'] as const).flatMap((version) =>
  [['XML', xmlCoding] as const, ['WBXML', wbxmlCoding] as const].map(([name, coding]) => ({
    title: `${version} in ${name}`,
    version,
    coding,
  })),
);
const gone: Readonly<Record<string, readonly string[]>> = {
  '1.1': ['ClientContentLimit', 'InfoLink'],
  '1.2': ['ClientContentLimit'],
  '1.3': [],
};

/** Presence of Alice as a phone gets it that asks for one attribute. */
async function read(phone: Phone, name: string): Promise<readonly Element[]> {
  const of =
    phone.version === '1.3'
      ? element('UserIDList', element('UserID', userId('alice')))
      : element('User', element('UserID', userId('alice')));
  const answer = await phone.request(
    element('GetPresence-Request', of, element('PresenceSubList', element(name))),
  );
  expect(codeOf(answer)).toBe(200);
  return child(child(answer, 'Presence'), 'PresenceSubList')?.children ?? [];
}

describe.each(readers)('a presence attribute at a phone of $title', ({ title, version, coding }) => {
  let reader: Phone;
  beforeAll(async () => {
    reader = await here.phone('bob', { version, coding, clientId: `wv:${title}` }).start();
  });

  it.each(cases.filter(({ name }) => !gone[version]!.includes(name)))(
    '$name is what its user published, in order',
    async ({ name, content, unknown = {} }) => {
      const published = element(name, element('Qualifier', true), built(content));
      expect(await alice.code(element('UpdatePresence-Request', element('PresenceSubList', published)))).toBe(
        200,
      );
      const [shown, ...more] = await read(reader, name);
      const dropped: readonly string[] = version === '1.3' ? ['ClientID'] : (unknown[version] ?? []);
      const kept = (tree: Element): Element => ({
        ...tree,
        children: tree.children.filter((part) => !dropped.includes(part.name)),
      });
      expect(more).toEqual([]);
      expect(shownAs(version === '1.3' ? kept(shown!) : shown!)).toBe(shownAs(kept(published)));
    },
  );

  it.each(['OnlineStatus', 'Registration'])('%s is what the server knows', async (name) => {
    const [shown] = await read(reader, name);
    expect([textOf(shown, 'Qualifier'), textOf(shown, 'PresenceValue')]).toEqual(['T', 'T']);
    expect(childrenOf(shown, 'ClientID')).toHaveLength(version === '1.3' ? 1 : 0);
  });
});

describe('the table of presence attributes', () => {
  it('has every attribute', () => {
    const names = ['OnlineStatus', 'Registration', ...cases.map(({ name }) => name)].sort();
    expect(names).toEqual(presenceAttributes.map(({ name }) => name).sort());
  });
});
