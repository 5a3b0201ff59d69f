import { table } from '../../store/store.js';
import { clientIdElement, clientKey, type ClientId } from '../address/client-id.js';
import type { UserId } from '../address/wv-address.js';
import { child, element, numberOf, textOf, type Element } from '../codec/element.js';
import { hasName, inVersion } from '../codec/in-version.js';
import type { ImpsContext } from '../context.js';
import { keyOf, type SessionRecord } from '../state/records.js';
import { CspRefusal } from '../status.js';
import { presenceAttribute, presenceAttributes } from '../vocabulary/presence.js';
import type { CspVersion } from '../vocabulary/versions.js';

/** Presence of one user: what belongs to the user, and what belongs to each client that is online. */
export interface PresenceRecord {
  /** What is said of the user outside this server: shown in place of what the user's clients said, for as long as it is said. */
  readonly outside?: Readonly<Record<string, Element>>;
  readonly own: Readonly<Record<string, Element>>;
  readonly clients: Readonly<
    Record<
      string,
      {
        readonly client: ClientId;
        readonly session: string;
        readonly at: number;
        readonly attributes: Readonly<Record<string, Element>>;
      }
    >
  >;
}

export const presence = table<PresenceRecord>('imps-presence');
const nothing: PresenceRecord = { own: {}, clients: {} };

const keyOfClient = (session: SessionRecord): string =>
  keyOf(clientKey(session.client), session.applicationId);

/** Attributes named by a PresenceSubList; empty means all. @throws CspRefusal 750 for one that is unknown */
export function attributeNames(list: Element | undefined): string[] {
  const names = [...new Set((list?.children ?? []).map(({ name }) => name))];
  if (names.some((name) => !presenceAttribute.has(name))) throw new CspRefusal(750);
  return names;
}

/** Checks what a client publishes. @throws CspRefusal 750 for the attribute, 751 for its value */
function check(attribute: Element): void {
  const known = presenceAttribute.get(attribute.name);
  if (!known) throw new CspRefusal(750, attribute.name);
  const qualifier = textOf(attribute, 'Qualifier');
  if (qualifier !== undefined && qualifier !== 'T' && qualifier !== 'F')
    throw new CspRefusal(751, attribute.name);
  const value = textOf(attribute, 'PresenceValue');
  if (known.values && value !== undefined && !known.values.includes(value))
    throw new CspRefusal(751, attribute.name);
}

/** An attribute with Qualifier F and nothing else is taken away. */
const removes = (attribute: Element): boolean =>
  textOf(attribute, 'Qualifier') === 'F' && attribute.children.every(({ name }) => name === 'Qualifier');

/**
 * Takes over what a client publishes.
 * @returns names of the attributes that are different now
 */
export async function publish(
  context: ImpsContext,
  session: SessionRecord,
  list: Element,
): Promise<string[]> {
  list.children.forEach(check);
  const published = list.children.filter(({ name }) => !presenceAttribute.get(name)!.byServer);
  const key = keyOfClient(session);
  const changed = await context.store.update(presence, session.user, (current = nothing) => {
    const own = { ...current.own };
    const entry = current.clients[key];
    const attributes = { ...entry?.attributes };
    const names: string[] = [];
    for (const attribute of published) {
      const store = presenceAttribute.get(attribute.name)!.perClient ? attributes : own;
      const bare = withoutClientId(attribute);
      if (JSON.stringify(store[attribute.name]) === JSON.stringify(bare)) continue;
      names.push(attribute.name);
      if (removes(bare)) delete store[attribute.name];
      else store[attribute.name] = bare;
    }
    if (names.length === 0) return { kind: 'keep', result: names };
    const at = entry?.at ?? context.clock.now();
    const clients = {
      ...current.clients,
      [key]: { client: session.client, session: session.id, at, attributes },
    };
    return { kind: 'put', value: { ...current, own, clients }, result: names };
  });
  const priority = numberOf(child(list, 'ClientInfo'), 'ClientIMPriority');
  if (priority !== undefined) {
    await context.sessions.change(session.id, (current) => ({ ...current, imPriority: priority }));
  }
  return changed;
}

const withoutClientId = (attribute: Element): Element => ({
  ...attribute,
  namespace: undefined,
  children: attribute.children.filter(({ name }) => name !== 'ClientID'),
});

/** A client came online or went. @returns names of the attributes that are different now */
export async function setOnline(
  context: ImpsContext,
  session: SessionRecord,
  online: boolean,
): Promise<string[]> {
  const key = keyOfClient(session);
  return context.store.update(presence, session.user, (current = nothing) => {
    const clients = { ...current.clients };
    const before = clients[key];
    // a session that ended late must not take a newer one of the same client offline
    if (!online && before?.session !== session.id) return { kind: 'keep', result: [] as string[] };
    if (online) {
      const attributes = before?.attributes ?? {};
      clients[key] = { client: session.client, session: session.id, at: context.clock.now(), attributes };
    } else delete clients[key];
    const names = ['OnlineStatus', 'Registration', ...Object.keys(before?.attributes ?? {})];
    return { kind: 'put', value: { ...current, clients }, result: names };
  });
}

/** Takes over what is said of a user outside this server, as a PresenceSubList. @returns what changed */
export async function replaceOutside(context: ImpsContext, user: UserId, list: Element): Promise<string[]> {
  return context.store.update(presence, user, (current = nothing) => {
    const outside = { ...current.outside };
    const names: string[] = [];
    for (const attribute of list.children) {
      if (!presenceAttribute.has(attribute.name)) continue;
      if (JSON.stringify(outside[attribute.name]) === JSON.stringify(attribute)) continue;
      if (removes(attribute)) {
        if (outside[attribute.name] === undefined) continue;
        delete outside[attribute.name];
      } else outside[attribute.name] = attribute;
      names.push(attribute.name);
    }
    return names.length === 0
      ? { kind: 'keep', result: names }
      : { kind: 'put', value: { ...current, outside }, result: names };
  });
}

const truth = (name: string, online: boolean): Element =>
  element(name, element('Qualifier', true), element('PresenceValue', online));

/**
 * Presence of a user as a PresenceSubList.
 * @param names attributes to show, in any order
 * @param version of the reader: 1.3 has one instance a client, others one for the client that came last
 */
export async function presenceOf(
  context: ImpsContext,
  user: UserId,
  names: ReadonlySet<string>,
  version: CspVersion,
): Promise<Element> {
  const record = (await context.store.get(presence, user)) ?? nothing;
  const online = Object.values(record.clients).sort((a, b) => b.at - a.at);
  const shown: Element[] = [];
  for (const { name, perClient, byServer } of presenceAttributes) {
    if (!names.has(name) || !hasName(name, version)) continue;
    // older versions kept what SIP said with what the user did; of these no user says anything
    const own = record.outside?.[name] ?? (byServer ? undefined : record.own[name]);
    if (!perClient || own) {
      if (own) shown.push(inVersion(own, version));
      continue;
    }
    if (byServer && online.length === 0) shown.push(truth(name, false));
    const instances = online.flatMap(({ client, attributes }) => {
      const attribute = byServer ? truth(name, true) : attributes[name];
      return attribute ? [{ client, attribute }] : [];
    });
    if (version !== '1.3') {
      if (instances[0]) shown.push(before13(instances[0].attribute, version));
    } else {
      for (const { client, attribute } of instances) {
        shown.push({ ...attribute, children: [...attribute.children, clientIdElement(client)] });
      }
    }
  }
  return element('PresenceSubList', shown);
}

/** As clients before 1.3 know an attribute: there is one instance, of no client. */
const before13 = (attribute: Element, version: CspVersion): Element =>
  inVersion(withoutClientId(attribute), version);
