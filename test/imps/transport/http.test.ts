import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readMessage, writeMessage, wbxmlCoding, xmlCoding } from '../../../src/imps/codec/coding.js';
import { charsetByName } from '../../../src/imps/codec/charset.js';
import { child, childrenOf, element, textOf, type Element } from '../../../src/imps/codec/element.js';
import type { CspMessage } from '../../../src/imps/codec/envelope.js';
import { capabilityRequest, codeOf, message, serviceRequest, type Phone } from '../tools/phone.js';
import { envelopeOf, getList, postTo } from '../tools/wire.js';
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

const envelope = (more: Partial<CspMessage> = {}): CspMessage => envelopeOf(alice, more);
const post = (body: string | Buffer, type: string, more: RequestInit = {}): Promise<Response> =>
  postTo(here, body, type, more);

describe('CSP over HTTP', () => {
  it.each([
    'application/vnd.wv.csp.xml',
    'application/vnd.wv.csp+xml',
    'application/vnd.wv.csp.wbxml',
    'application/vnd.wv.csp+wbxml',
  ])('takes %s for every version, and answers in type and version of the request', async (type) => {
    const coding = type.includes('wbxml') ? wbxmlCoding : xmlCoding;
    for (const version of ['1.1', '1.2', '1.3'] as const) {
      const response = await post(writeMessage(envelope({ version }), coding), type.toUpperCase());
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe(type);
      const { message: answer } = readMessage(Buffer.from(await response.arrayBuffer()), type);
      expect([answer.version, answer.sessionId]).toEqual([version, alice.sessionId]);
      expect(answer.transactions[0]?.primitive?.name).toBe('GetList-Response');
    }
  });

  it('answers in the charset of the request', async () => {
    await alice.request(
      element(
        'CreateList-Request',
        element('ContactList', 'wv:alice/friends'),
        element('ContactListProperties', [
          element('Property', element('Name', 'DisplayName'), element('Value', 'Vänner')),
        ]),
      ),
    );
    const manage = element(
      'ListManage-Request',
      element('ContactList', 'wv:alice/friends'),
      element('ReceiveList', true),
    );
    const charset = charsetByName('ISO-8859-1');
    const transactions = [{ mode: 'Request', id: '1', primitive: manage }] as const;
    for (const coding of [xmlCoding, wbxmlCoding]) {
      const body = writeMessage(envelope({ transactions }), { ...coding, charset });
      const response = await post(body, coding.contentType);
      const bytes = Buffer.from(await response.arrayBuffer());
      expect(bytes.includes(Buffer.from('Vänner', 'latin1'))).toBe(true);
      expect(readMessage(bytes, coding.contentType).coding.charset.name).toBe('ISO-8859-1');
    }
  });

  it('answers several transactions of one message, each under its own ID and in order', async () => {
    const answer = await alice.post({
      transactions: ['a', 'b', 'c'].map((id) => ({ mode: 'Request', id, primitive: getList })),
    });
    expect(answer?.transactions.map(({ id, primitive }) => `${id} ${primitive?.name}`)).toEqual([
      'a GetList-Response',
      'b GetList-Response',
      'c GetList-Response',
    ]);
  });

  it('lets a later transaction of a message see what an earlier one changed', async () => {
    const phone = here.phone('bob');
    await phone.login2();
    const narrow = element(
      'Service-Request',
      element('Functions', element('WVCSPFeat', element('IMFeat'))),
      element('AllFunctionsRequest', false),
    );
    const answer = await phone.post({
      transactions: [
        { mode: 'Request', id: '1', primitive: narrow },
        { mode: 'Request', id: '2', primitive: getList },
      ],
    });
    expect(answer?.transactions.map(({ primitive }) => primitive && codeOf(primitive))).toEqual([NaN, 506]);
  });

  it('is empty, with 200, when a poll finds nothing, and when the client only answered', async () => {
    const poll = envelope({
      transactions: [{ mode: 'Request', id: '', primitive: element('Polling-Request') }],
    });
    const empty = await post(writeMessage(poll, wbxmlCoding), wbxmlCoding.contentType);
    expect([empty.status, empty.headers.get('content-length')]).toEqual([200, '0']);
    const status = element('Status', element('Result', element('Code', 200)));
    const answered = envelope({ transactions: [{ mode: 'Response', id: 'sv', primitive: status }] });
    const silence = await post(writeMessage(answered, wbxmlCoding), wbxmlCoding.contentType);
    expect([silence.status, (await silence.arrayBuffer()).byteLength]).toEqual([200, 0]);
  });

  it('says Poll T in any answer while something waits, in the transaction of 1.1 and in the session after', async () => {
    const poll = async (version: '1.1' | '1.3'): Promise<boolean> => {
      const response = await post(writeMessage(envelope({ version }), xmlCoding), xmlCoding.contentType);
      const text = await response.text();
      const place =
        version === '1.1'
          ? /<TransactionDescriptor>.*<Poll>T<\/Poll>.*<\/TransactionDescriptor>/
          : /<\/Transaction><Poll>T/;
      return place.test(text);
    };
    const version = { clientId: 'wv:x' };
    expect(await poll('1.3')).toBe(false);
    await (await here.phone('bob', version).start()).request(message('hi', [userId('alice')]));
    expect([await poll('1.1'), await poll('1.3')]).toEqual([true, true]);
    await alice.messages();
    expect(await poll('1.3')).toBe(false);
  });

  it('answers an acknowledgement only to say that more waits', async () => {
    const bob = await here.phone('bob').start();
    for (const text of ['1', '2']) await bob.request(message(text, [userId('alice')]));
    const acknowledge = async (): Promise<CspMessage | undefined> => {
      const [waiting] = await alice.poll();
      const id = textOf(child(waiting?.primitive, 'MessageInfo'), 'MessageID') ?? '';
      return alice.respond(waiting!.id, element('MessageDelivered', element('MessageID', id)));
    };
    const first = await acknowledge();
    expect([first?.transactions[0]?.primitive?.name, first?.poll]).toEqual(['Status', true]);
    expect(await acknowledge()).toBeUndefined();
  });

  it('carries the next server request in an otherwise empty answer where the operator wants that', async () => {
    await here.close();
    here = await world({ polling: { piggyBack: true } });
    alice = await here.phone('alice').start();
    const bob = await here.phone('bob').start();
    for (const text of ['1', '2']) await bob.request(message(text, [userId('alice')]));
    const [first] = await alice.poll();
    const id = textOf(child(first?.primitive, 'MessageInfo'), 'MessageID') ?? '';
    const next = await alice.respond(first!.id, element('MessageDelivered', element('MessageID', id)));
    expect(textOf(next?.transactions[0]?.primitive, 'ContentData')).toBe('2');
  });

  it('puts as many server requests into an answer as the client takes in one message', async () => {
    const phone = here.phone('carol');
    await phone.login2();
    await phone.negotiate(element('MultiTransPerMessage', 3));
    const bob = await here.phone('bob').start();
    for (const text of ['1', '2', '3', '4']) await bob.request(message(text, [userId('carol')]));
    expect((await phone.poll()).map(({ primitive }) => textOf(primitive, 'ContentData'))).toEqual([
      '1',
      '2',
      '3',
    ]);
  });
});

describe('version discovery and service provider info', () => {
  it('are answered without a session, and without a Transaction-ID', async () => {
    const outband = here.phone('alice');
    const answer = await outband.post({
      transactions: [{ mode: 'Request', id: '', primitive: element('WV-CSP-VersionDiscovery-Request') }],
    });
    const list = child(answer?.transactions[0]?.primitive, 'VersionList');
    expect(childrenOf(list, 'SessionNSName').map(({ text }) => text)).toEqual([
      'http://www.wireless-village.org/CSP1.1',
      'http://www.openmobilealliance.org/DTD/WV-CSP1.2',
      'http://www.openmobilealliance.org/DTD/IMPS-CSP1.3',
    ]);
    expect(answer?.sessionType).toBe('Outband');
    const info = await outband.request(element('GetSPInfo-Request'));
    expect([info.name, textOf(info, 'Name')]).toEqual(['GetSPInfo-Response', 'Parley']);
  });
});

describe('service negotiation', () => {
  const negotiate = (...features: readonly Element[]): Promise<Element> =>
    alice.request(
      element(
        'Service-Request',
        element('Functions', element('WVCSPFeat', features)),
        element('AllFunctionsRequest', true),
      ),
    );

  it('answers with what is not available, and with the whole tree on request', async () => {
    const answer = await alice.request(serviceRequest);
    const refused = child(child(answer, 'Functions'), 'WVCSPFeat');
    const names = (tree: Element | undefined): string[] =>
      (tree?.children ?? []).flatMap((one) => [one.name, ...names(one)]);
    expect(names(refused)).toEqual(['FundamentalFeat', 'ServiceFunc', 'SGMNT', 'SearchFunc', 'ADVSR']);
    const all = child(child(answer, 'AllFunctions'), 'WVCSPFeat');
    expect(names(all)).toContain('PresenceFeat');
    expect(names(all)).not.toContain('ADVSR');
  });

  it('grants single functions, whole groups, whole features, and MF, MP, MM and MG', async () => {
    await negotiate(
      element('FundamentalFeat', element('MF')),
      element('PresenceFeat', element('ContListFunc', element('GCLI'))),
      element('IMFeat', element('IMAuthFunc')),
    );
    const codes = await Promise.all(
      [
        element('VerifyID-Request', element('IDList')),
        element('GetList-Request'),
        element('GetBlockedList-Request'),
        element('DeleteList-Request', element('ContactList', 'wv:alice/x')),
        element('GetWatcherList-Request'),
        element('GetMessageList-Request'),
      ].map((primitive) => alice.code(primitive)),
    );
    expect(codes).toEqual([200, NaN, NaN, 506, 506, 506]);
  });

  it('refuses a primitive that nobody knows with 506', async () => {
    expect(await alice.code(element('GetSegment-Request'))).toBe(506);
    expect(await alice.code(element('Whatever-Request'))).toBe(506);
  });
});

describe('capability negotiation', () => {
  it.each(['1.1', '1.2', '1.3'] as const)('answers in the shape of CSP %s', async (version) => {
    const phone = here.phone('bob', { version });
    await phone.login2();
    const answer = await phone.request(
      capabilityRequest(version, element('ServerPollMin', 1), element('OfflineETEMHandling', 'REJECT')),
    );
    const list = child(answer, version === '1.1' ? 'CapabilityList' : 'AgreedCapabilityList');
    expect(textOf(list, 'ServerPollMin')).toBe('5');
    expect(textOf(list, 'OfflineETEMHandling')).toBe(version === '1.3' ? 'REJECT' : undefined);
    expect(child(answer, 'ClientID') !== undefined).toBe(version === '1.1');
  });

  it('keeps what a later one leaves out, and refuses what it does not know with 402', async () => {
    await alice.request(capabilityRequest('1.3', element('OnlineETEMHandling', 'FORKALL')));
    const again = child(await alice.request(capabilityRequest('1.3')), 'AgreedCapabilityList');
    expect(textOf(again, 'OnlineETEMHandling')).toBe('FORKALL');
    expect(await alice.code(capabilityRequest('1.3', element('OfflineETEMHandling', 'KEEP')))).toBe(402);
    expect(await alice.code(element('ClientCapability-Request'))).toBe(400);
  });

  it('adjusts a session priority out of range, and says so by notification', async () => {
    await alice.request(subscribe('SPA'));
    const agreed = child(
      await alice.request(capabilityRequest('1.3', element('SessionPriority', 5000))),
      'AgreedCapabilityList',
    );
    expect(textOf(agreed, 'SessionPriority')).toBe('100');
    const [notification] = await alice.drain();
    expect([textOf(notification, 'NotificationType'), textOf(notification, 'SessionPriority')]).toEqual([
      'SPA',
      '100',
    ]);
  });
});

const subscribe = (type: string): Element =>
  element(
    'SubscribeNotification-Request',
    element('NotificationTypeList', element('NotificationType', type)),
  );
