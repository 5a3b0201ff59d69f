import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { xmlCoding } from '../../../src/imps/codec/coding.js';
import { child, element, textOf, type Element } from '../../../src/imps/codec/element.js';
import type { CspVersion } from '../../../src/imps/vocabulary/versions.js';
import { codeOf, message, type Phone } from '../tools/phone.js';
import { userId, world, type World } from '../tools/world.js';

let here: World;
beforeEach(async () => {
  here = await world();
});
afterEach(async () => {
  expect(here.errors).toEqual([]);
  await here.close();
});

const all: readonly CspVersion[] = ['1.1', '1.2', '1.3'];
const until12: readonly CspVersion[] = ['1.1', '1.2'];

/** Feature, group, primitive and code, and the versions whose tree has the code. */
const primitives: readonly (readonly [
  feature: string,
  group: string,
  codes: string,
  versions: readonly CspVersion[],
])[] = [
  ['FundamentalFeat', 'ServiceFunc', 'GetSPInfo-Request:GETSPI', all],
  ['FundamentalFeat', 'ServiceFunc', 'GetMap-Request:GETMAP', ['1.3']],
  ['FundamentalFeat', 'SearchFunc', 'Search-Request:SRCH StopSearch-Request:STSRC', all],
  [
    'FundamentalFeat',
    'InviteFunc',
    'Invite-Request:INVIT InviteUser-Response:INVIT CancelInvite-Request:CAINV',
    all,
  ],
  ['FundamentalFeat', 'VerifyIDFunc', 'VerifyID-Request:VRID', ['1.3']],
  [
    'PresenceFeat',
    'ContListFunc',
    'GetList-Request:GCLI CreateList-Request:CCLI DeleteList-Request:DCLI ListManage-Request:MCLS',
    all,
  ],
  ['PresenceFeat', 'PresenceAuthFunc', 'GetWatcherList-Request:GETWL', all],
  ['PresenceFeat', 'PresenceAuthFunc', 'PresenceAuth-User:REACT CancelAuth-Request:CAAUT', until12],
  ['PresenceFeat', 'PresenceAuthFunc', 'GetReactiveAuthStatus-Request:GETAUT', ['1.2']],
  ['PresenceFeat', 'PresenceDeliverFunc', 'GetPresence-Request:GETPR UpdatePresence-Request:UPDPR', all],
  [
    'PresenceFeat',
    'AttListFunc',
    'CreateAttributeList-Request:CALI DeleteAttributeList-Request:DALI GetAttributeList-Request:GALS',
    until12,
  ],
  ['IMFeat', 'IMSendFunc', 'ForwardMessage-Request:FWMSG', all],
  [
    'IMFeat',
    'IMReceiveFunc',
    'SetDeliveryMethod-Request:SETD GetMessageList-Request:GETLM GetMessage-Request:GETM RejectMessage-Request:REJCM',
    all,
  ],
  ['IMFeat', 'IMAuthFunc', 'GetBlockedList-Request:GLBLU BlockEntity-Request:BLENT', all],
  [
    'GroupFeat',
    'GroupMgmtFunc',
    'CreateGroup-Request:CREAG DeleteGroup-Request:DELGR GetGroupProps-Request:GETGP SetGroupProps-Request:SETGP',
    all,
  ],
  ['GroupFeat', 'GroupUseFunc', 'SubscribeGroupNotice-Request:SUBGCN', all],
  [
    'GroupFeat',
    'GroupAuthFunc',
    'GetGroupMembers-Request:GETGM AddGroupMembers-Request:ADDGM RemoveGroupMembers-Request:RMVGM MemberAccess-Request:MBRAC RejectList-Request:REJEC',
    all,
  ],
  ['GroupFeat', 'GroupAuthFunc', 'GetJoinedUsers-Request:GETJU', ['1.2', '1.3']],
];

/** Primitives without a code: of the mandatory functions of their feature. */
const mandatory: Readonly<Record<string, readonly string[]>> = {
  PresenceFeat: ['SubscribePresence-Request', 'UnsubscribePresence-Request'],
  IMFeat: ['SendMessage-Request', 'MessageDelivered'],
  GroupFeat: ['JoinGroup-Request', 'LeaveGroup-Request'],
};
const ofFeature = Object.entries(mandatory).flatMap(([feature, names]) =>
  names.map((name) => [name, feature] as const),
);

const rows = primitives.flatMap(([feature, group, codes, versions]) =>
  codes.split(' ').map((pair) => {
    const [name = '', code = ''] = pair.split(':');
    return { name, code, feature, group, versions };
  }),
);

async function loggedIn(version: CspVersion, name = 'alice'): Promise<Phone> {
  const phone = here.phone(name, { version, coding: xmlCoding });
  expect(codeOf(await phone.login2())).toBe(200);
  return phone;
}

const negotiate = (phone: Phone, ...features: readonly Element[]): Promise<Element> =>
  phone.request(
    element(
      'Service-Request',
      element('Functions', element('WVCSPFeat', features)),
      element('AllFunctionsRequest', false),
    ),
  );

const group = (feature: string, name: string, codes: readonly string[]): Element =>
  element(
    feature,
    element(
      name,
      codes.map((code) => element(code)),
    ),
  );

const refused = async (phone: Phone, name: string): Promise<boolean> =>
  codeOf(await phone.request(element(name))) === 506;

describe('service negotiation', () => {
  it.each(all)('of CSP %s opens services: before it every one of them is 506', async (version) => {
    const phone = await loggedIn(version);
    const names = [...rows, ...ofFeature.map(([name]) => ({ name }))].map(({ name }) => name);
    for (const name of names) expect([name, await refused(phone, name)]).toEqual([name, true]);
    for (const name of ['KeepAlive-Request', 'ClientCapability-Request'])
      expect([name, await refused(phone, name)]).toEqual([name, false]);
    expect(here.trail.counts().get('imps.service-not-agreed')).toBe(names.length);
  });

  it.each(
    all.flatMap((version) =>
      rows.filter((row) => row.versions.includes(version)).map((row) => ({ ...row, version })),
    ),
  )(
    'of CSP $version gives $name to who has $code, and not to who has the rest of $group',
    async ({ version, name, code, feature, group: groupName }) => {
      const phone = await loggedIn(version);
      await negotiate(phone, group(feature, groupName, [code]));
      expect(await refused(phone, name)).toBe(false);
      const others = rows.filter((row) => row.group === groupName && row.code !== code);
      await negotiate(
        phone,
        ...(others.length === 0
          ? [element(feature === 'IMFeat' ? 'GroupFeat' : 'IMFeat')]
          : [
              group(
                feature,
                groupName,
                others.map((row) => row.code),
              ),
            ]),
      );
      expect(await refused(phone, name)).toBe(true);
    },
  );

  it.each(ofFeature)('gives %s to who has anything of %s', async (name, feature) => {
    const phone = await loggedIn('1.3');
    const row = rows.find((candidate) => candidate.feature === feature && candidate.versions === all)!;
    await negotiate(phone, group(feature, row.group, [row.code]));
    expect(await refused(phone, name)).toBe(false);
    await negotiate(phone, element('FundamentalFeat'));
    expect(await refused(phone, name)).toBe(true);
  });

  it('without Functions asks what there is, and changes nothing', async () => {
    const phone = await loggedIn('1.3');
    const ask = element('Service-Request', element('AllFunctionsRequest', true));
    const answer = await phone.request(ask);
    expect(child(child(answer, 'AllFunctions'), 'WVCSPFeat')?.children.length).toBe(4);
    expect(await refused(phone, 'GetList-Request')).toBe(true);
    await negotiate(phone, element('PresenceFeat'));
    await phone.request(ask);
    expect(await refused(phone, 'GetList-Request')).toBe(false);
  });

  it('names what of the wanted functions is not available, and nothing else', async () => {
    const phone = await loggedIn('1.3');
    const wanted = ['GETSPI', 'SGMNT'];
    const answer = await negotiate(phone, group('FundamentalFeat', 'ServiceFunc', wanted));
    const leaves = child(
      child(child(child(answer, 'Functions'), 'WVCSPFeat'), 'FundamentalFeat'),
      'ServiceFunc',
    );
    expect(leaves?.children.map(({ name }) => name)).toEqual(['SGMNT']);
  });

  it('keeps from a client the requests of the server whose function it did not agree to', async () => {
    const sender = await loggedIn('1.3', 'bob');
    await negotiate(sender, group('IMFeat', 'IMSendFunc', ['FWMSG']));
    const receiver = await here.phone('alice').start();
    const sent = await sender.request(message('report', [userId('alice')], element('DeliveryReport', true)));
    expect(codeOf(sent)).toBe(200);
    const [got] = await receiver.drain();
    expect(textOf(got, 'ContentData')).toBe('report');
    expect(await sender.drain()).toEqual([]);
    expect(here.trail.recent({ code: 'imps.request-kept' })[0]?.detail).toBe('DeliveryReport-Request');
    await negotiate(sender, group('IMFeat', 'IMSendFunc', ['MDELIV']));
    expect((await sender.drain()).map(({ name }) => name)).toEqual(['DeliveryReport-Request']);
    await sender.request(message('report', [userId('alice')], element('DeliveryReport', true)));
    await receiver.drain();
    expect((await sender.drain()).map(({ name }) => name)).toEqual(['DeliveryReport-Request']);
  });
});
