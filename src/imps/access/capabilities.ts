import { clientIdElement, clientKey, type ClientId } from '../address/client-id.js';
import type { UserId } from '../address/wv-address.js';
import {
  child,
  childrenOf,
  element,
  flagOf,
  numberOf,
  textOf,
  textsOf,
  type Element,
} from '../codec/element.js';
import type { Handler, ImpsContext } from '../context.js';
import { notifyTypes } from '../services/general-notifications.js';
import {
  clients,
  keyOf,
  type Capabilities,
  type OfflineHandling,
  type OnlineHandling,
  type SessionRecord,
} from '../state/records.js';
import { CspRefusal } from '../status.js';
import type { CspVersion } from '../vocabulary/versions.js';

export const offlineHandlings = [
  'SENDSTORE',
  'SENDREJECT',
  'PRIORITYSTORE',
  'PRIORITYREJECT',
  'REJECT',
] as const;
export const onlineHandlings = ['SERVERLOGIC', 'FORKALL', 'DETECT'] as const;
const cirMethodsOf: Readonly<Record<CspVersion, readonly string[]>> = {
  '1.1': ['WAPSMS', 'WAPUDP', 'STCP', 'SUDP'],
  '1.2': ['WAPSMS', 'WAPUDP', 'SSMS', 'STCP', 'SUDP', 'SHTTP'],
  '1.3': ['WAPSMS', 'WAPUDP', 'SSMS', 'STCP', 'SUDP', 'SHTTP'],
};
const transferEncodings = ['BASE64', 'NONE'];
const offlineBearers = ['WAPSMS', 'WAPUDP', 'SSMS'];

/** What holds for a session that has negotiated nothing. */
export const defaultCapabilities: Capabilities = {
  deliveryMethod: 'P',
  multiTransPerMessage: 1,
  anyContent: true,
  contentTypes: [],
  cirMethods: [],
  offlineBearers: [],
  offlineHandling: 'SENDSTORE',
  onlineHandling: 'SERVERLOGIC',
  serverPollMin: 0,
};

/** Longest list of values that a client may give for one capability. */
const LIST = 64;

function oneOf<T extends string>(allowed: readonly T[], text: string | undefined, fallback: T): T {
  if (text === undefined) return fallback;
  const found = allowed.find((value) => value === text.trim().toUpperCase());
  if (found === undefined) throw new CspRefusal(402, `capability ${text.slice(0, 20)}`);
  return found;
}

/** A list that the client may leave out to keep what was agreed before. */
const listOr = (list: Element, name: string, before: readonly string[]): readonly string[] => {
  const given = textsOf(list, name).map((text) => text.trim());
  return given.length === 0 ? before : given.slice(0, LIST);
};

const atLeastOne = (count: number | undefined): number | undefined =>
  count === undefined ? undefined : Math.max(1, count);

/**
 * How much of a content type may be pushed: AcceptedRichContentLength, and ContentPolicyLimit, from which on a
 * ContentPolicy holds. What the policies C, N and R do is not established; none of them loses a message here: above the
 * limit it is announced.
 */
function typeLimits(list: Element): Record<string, number> {
  const limits: Record<string, number> = {};
  for (const type of childrenOf(list, 'AcceptedContentType').slice(0, LIST)) {
    const name = textOf(type, 'ContentType')?.trim().toLowerCase();
    const given = ['AcceptedRichContentLength', 'ContentPolicyLimit'].map((limit) => numberOf(type, limit));
    const known = given.filter((limit) => limit !== undefined);
    if (name !== undefined && known.length > 0) limits[name] = Math.min(...known);
  }
  return limits;
}

/** Takes over what a CapabilityList says; what it leaves out stays as agreed before. */
export function readCapabilities(
  list: Element,
  before: Capabilities,
  context: ImpsContext,
  version: CspVersion,
): Capabilities {
  const upper = (texts: readonly string[]): string[] => texts.map((text) => text.toUpperCase());
  const known = cirMethodsOf[version].filter((method) => context.endpoints.cirMethods.includes(method));
  const asked = upper(listOr(list, 'SupportedCIRMethod', before.cirMethods));
  // a client whose data channel is WSP can only be reached by WAP push (document 002 §8.1)
  const bearers = child(list, 'SupportedBearer')
    ? upper(listOr(list, 'SupportedBearer', []))
    : before.bearers;
  const wspOnly = bearers?.every((bearer) => bearer === 'WSP') ?? false;
  const types = childrenOf(list, 'AcceptedContentType').map(
    (type) => textOf(type, 'ContentType') ?? type.text,
  );
  return {
    deliveryMethod: oneOf(['P', 'N'], textOf(list, 'InitialDeliveryMethod'), before.deliveryMethod),
    pushLimit:
      numberOf(list, 'AcceptedPushLength') ?? numberOf(list, 'AcceptedContentLength') ?? before.pushLimit,
    textLimit: numberOf(list, 'AcceptedTextContentLength') ?? before.textLimit,
    pullLimit: numberOf(list, 'AcceptedPullLength') ?? before.pullLimit,
    typeLimits: types.length > 0 ? typeLimits(list) : before.typeLimits,
    parserSize: numberOf(list, 'ParserSize') ?? before.parserSize,
    multiTrans: atLeastOne(numberOf(list, 'MultiTrans')) ?? before.multiTrans,
    multiTransPerMessage: Math.max(1, numberOf(list, 'MultiTransPerMessage') ?? before.multiTransPerMessage),
    anyContent: flagOf(list, 'AnyContent') ?? (types.length > 0 ? false : before.anyContent),
    contentTypes:
      types.length > 0 ? types.slice(0, LIST).map((type) => type.trim().toLowerCase()) : before.contentTypes,
    transferEncodings: child(list, 'AcceptedTransferEncoding')
      ? transferEncodings.filter((known) =>
          upper(textsOf(list, 'AcceptedTransferEncoding')).some((given) => given.trim() === known),
        )
      : before.transferEncodings,
    bearers,
    // in the order of the client, which is the one in which they are tried
    cirMethods: [...new Set(asked)].filter(
      (method) => known.includes(method) && (!wspOnly || method.startsWith('WAP')),
    ),
    udpPort: numberOf(list, 'UDPPort') ?? before.udpPort,
    offlineBearers:
      version === '1.3' && context.config.offlineNotification.enabled
        ? upper(listOr(list, 'SupportedOfflineBearer', before.offlineBearers)).filter(
            (bearer) => offlineBearers.includes(bearer) && context.endpoints.cirMethods.includes(bearer),
          )
        : [],
    offlineHandling: oneOf<OfflineHandling>(
      offlineHandlings,
      textOf(list, 'OfflineETEMHandling'),
      before.offlineHandling,
    ),
    onlineHandling: oneOf<OnlineHandling>(
      onlineHandlings,
      textOf(list, 'OnlineETEMHandling'),
      before.onlineHandling,
    ),
    serverPollMin: Math.max(
      context.config.polling.min,
      numberOf(list, 'ServerPollMin') ?? before.serverPollMin,
    ),
  };
}

/** AgreedCapabilityList (CapabilityList in 1.1), in the order that clients know. */
export function agreedList(
  agreed: Capabilities,
  session: SessionRecord,
  list: Element,
  context: ImpsContext,
): Element {
  const { version } = session;
  const { endpoints, config } = context;
  const is13 = version === '1.3';
  const has = (method: string): boolean => agreed.cirMethods.includes(method);
  const echo = (name: string): Element[] => [...childrenOf(list, name)];
  const asked13 = (name: string): Element[] => (is13 ? echo(name) : []);
  const pollUrl = `${endpoints.cirHttp}/cir?pc=${session.pollCookie}`;
  const askedBearers = textsOf(list, 'SupportedBearer').map((text) => text.trim().toUpperCase());
  return element(
    version === '1.1' ? 'CapabilityList' : 'AgreedCapabilityList',
    echo('AcceptedContentType'),
    echo('AnyContent').slice(0, 1),
    asked13('AcceptedPullLength'),
    asked13('AcceptedPushLength'),
    asked13('AcceptedTextContentLength'),
    echo('AcceptedTransferEncoding').filter(({ text }) =>
      agreed.transferEncodings?.includes(text.trim().toUpperCase()),
    ),
    has('SHTTP')
      ? is13
        ? element('CIRHTTPAddress', element('URL', pollUrl))
        : element('CIRURL', element('URL', pollUrl))
      : undefined,
    is13 && has('SSMS') && config.smpp ? element('CIRSMSAddress', config.smpp.address) : undefined,
    is13 ? element('MultiTrans', agreed.multiTrans ?? 1) : undefined,
    is13 ? element('MultiTransPerMessage', agreed.multiTransPerMessage) : undefined,
    is13 ? element('OfflineETEMHandling', agreed.offlineHandling) : undefined,
    is13 ? element('OnlineETEMHandling', agreed.onlineHandling) : undefined,
    element('ServerPollMin', agreed.serverPollMin),
    (config.smpp ? ['HTTP', 'SMS'] : ['HTTP'])
      .filter((bearer) => askedBearers.includes(bearer))
      .map((bearer) => element('SupportedBearer', bearer)),
    is13 ? agreed.offlineBearers.map((bearer) => element('SupportedOfflineBearer', bearer)) : undefined,
    agreed.cirMethods.map((method) => element('SupportedCIRMethod', method)),
    has('STCP')
      ? [element('TCPAddress', endpoints.cirHost), element('TCPPort', endpoints.cirPort)]
      : undefined,
    has('SUDP')
      ? [is13 ? element('UDPAddress', endpoints.cirHost) : undefined, element('UDPPort', endpoints.cirPort)]
      : undefined,
    is13 ? element('SessionPriority', session.priority) : undefined,
    is13 ? element('UserSessionLimit', config.login.sessionsPerUser) : undefined,
  );
}

/** What a SessionPriority may be; another is adjusted to the nearest, and the client is told by Notification SPA. */
export const PRIORITY_MAX = 100;

/** What a session becomes by a CapabilityList, and the answer to it; nothing is kept yet. */
export function settle(
  context: ImpsContext,
  session: SessionRecord,
  list: Element,
): { readonly session: SessionRecord; readonly list: Element } {
  const before = session.capabilities ?? defaultCapabilities;
  const capabilities = readCapabilities(list, before, context, session.version);
  const priority = Math.min(numberOf(list, 'SessionPriority') ?? session.priority, PRIORITY_MAX);
  const settled = { ...session, capabilities, priority };
  return { session: settled, list: agreedList(capabilities, settled, list, context) };
}

/** Agrees on capabilities and keeps them; what must outlive the session is kept with the client. */
async function agree(
  context: ImpsContext,
  session: SessionRecord,
  list: Element,
): Promise<{ readonly session: SessionRecord; readonly list: Element }> {
  const settled = settle(context, session, list);
  const { capabilities, priority } = settled.session;
  const changed = await context.sessions.change(session.id, (current) => ({
    ...current,
    capabilities,
    priority,
  }));
  if (!changed) throw new CspRefusal(604);
  await rememberClient(context, changed);
  const asked = numberOf(list, 'SessionPriority');
  if (asked !== undefined && asked !== priority && changed.notifications.includes('SPA')) {
    await context.outbox.add(
      session.id,
      element(
        'Notification-Request',
        element('NotificationType', 'SPA'),
        element('SessionPriority', priority),
      ),
    );
  }
  if (session.capabilities && session.capabilities.onlineHandling !== capabilities?.onlineHandling) {
    const handling = element('OnlineETEMHandling', capabilities?.onlineHandling ?? '');
    await notifyTypes(context, session.user, 'OEU', [handling], { except: session.id });
  }
  return { session: changed, list: settled.list };
}

/** Clients of a user that are remembered beside those that are logged in. */
const REMEMBERED_CLIENTS = 32;

/** Keeps what offline messages and notifications need to know of a client between its sessions. */
export async function rememberClient(context: ImpsContext, session: SessionRecord): Promise<void> {
  const capabilities = session.capabilities ?? defaultCapabilities;
  const key = clientRecordKey(session);
  const isNew = await context.store.update(clients, key, (current) => ({
    kind: 'put',
    value: {
      client: session.client,
      applicationId: session.applicationId,
      version: session.version,
      msisdn: session.msisdn ?? current?.msisdn,
      remoteAddress: session.remoteAddress,
      offlineBearers: session.capabilities ? capabilities.offlineBearers : (current?.offlineBearers ?? []),
      offlineHandling: session.capabilities
        ? capabilities.offlineHandling
        : (current?.offlineHandling ?? 'SENDSTORE'),
      seenAt: context.clock.now(),
    },
    result: !current,
  }));
  if (isNew) await forgetClients(context, session.user, key);
}

const clientRecordKey = ({ user, client, applicationId }: SessionRecord): string =>
  keyOf(user, clientKey(client), applicationId);

/** A client with a Client-ID of its own at each start leaves records behind: those that were seen longest ago go. */
async function forgetClients(context: ImpsContext, user: UserId, added: string): Promise<void> {
  const known: { readonly key: string; readonly seenAt: number }[] = [];
  for await (const { key, value } of context.store.scan(clients, { prefix: keyOf(user, '') }))
    known.push({ key, seenAt: value.seenAt });
  if (known.length <= REMEMBERED_CLIENTS) return;
  const kept = new Set((await context.sessions.ofUser(user)).map(clientRecordKey)).add(added);
  const passed = known.filter(({ key }) => !kept.has(key)).sort((a, b) => b.seenAt - a.seenAt);
  for (const { key } of passed.slice(REMEMBERED_CLIENTS))
    await context.store.update(clients, key, () => ({ kind: 'remove', result: undefined }));
}

/** Telephone number that a client had in an earlier session (document 002 §8.1.1). */
export async function keptNumber(
  context: ImpsContext,
  user: UserId,
  client: ClientId,
  applicationId: string,
): Promise<string | undefined> {
  return (await context.store.get(clients, keyOf(user, clientKey(client), applicationId)))?.msisdn;
}

/** Client capability negotiation; may be repeated during a session. */
export const clientCapabilityRequest: Handler = async (context, { session, version, primitive }) => {
  const list = child(primitive, 'CapabilityList');
  if (!list) throw new CspRefusal(400, 'no CapabilityList');
  const agreed = await agree(context, session, list);
  context.ports.observer.sessionChanged(agreed.session);
  context.trail.record({
    code: 'imps.capabilities-agreed',
    outcome: 'accepted',
    clause: 'CSP client capability negotiation',
    subject: session.user,
    trace: session.id,
    detail: `CIR ${agreed.session.capabilities?.cirMethods.join(' ') || 'none'}`,
  });
  return element(
    'ClientCapability-Response',
    version === '1.1' ? clientIdElement(session.client) : undefined,
    agreed.list,
  );
};
