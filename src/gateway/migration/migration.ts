import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import { parseAor } from '../../identity/aor.js';
import { InstanceId } from '../../identity/instance-id.js';
import {
  parseUserId,
  type ClientId,
  type GroupEntry,
  type ImpsServer,
  type ResourceId,
  type UserId,
} from '../../imps/index.js';
import type { Subscribers } from '../../registrar/subscribers.js';
import type { AddressMap } from '../addresses/address-map.js';
import '../errors.js';
import type { DeviceMap } from '../identity/device-map.js';
import { clientUuid, type ImpsClient } from '../identity/instance-name.js';
import type { DeviceRecord } from '../records.js';
import { groupProperties, rowSchemas, type MapKind, type MapRow, type WithdrawableKind } from './rows.js';

export interface MigrationOptions {
  readonly clock: Clock;
  readonly addresses: AddressMap;
  readonly devices: DeviceMap;
  readonly subscribers: Subscribers;
  readonly imps: () => ImpsServer;
  /** Domain of the IMPS users. */
  readonly home: string;
}

/** A row that was refused. */
export interface RefusedRow {
  /** From 0. */
  readonly row: number;
  readonly code: string;
  readonly message: string;
}

/** What became of the rows of an import: the good ones are committed, whatever the others are. */
export interface ImportResult {
  readonly added: number;
  /** There already, the same. */
  readonly known: number;
  readonly refused: readonly RefusedRow[];
}

/** What became of rows that were taken back. */
export interface WithdrawalResult {
  readonly removed: number;
  /** Not there. */
  readonly absent: number;
  readonly refused: readonly RefusedRow[];
}

/** Rows of one kind, and where to go on after them; undefined at the end. */
export interface ExportPage {
  readonly rows: readonly object[];
  readonly next?: string | undefined;
}

type Outcome = 'added' | 'known';

/**
 * Brings users, addresses, clients, contact lists, access lists and groups from another server, and gives them out again. Each row
 * stands for itself; bringing one again, or taking it back again, changes nothing.
 */
export class Migration {
  readonly #options: MigrationOptions;
  readonly #imports: { readonly [K in MapKind]: (row: MapRow<K>) => Promise<Outcome> } = {
    users: (row) => this.#user(row),
    addresses: (row) => this.#address(row),
    devices: (row) => this.#device(row),
    contacts: async ({ user, ...row }) =>
      added(await this.#transfers.contacts.put({ ...row, user: this.#userId(user) })),
    access: async ({ user, ...row }) =>
      added(await this.#transfers.access.put({ ...row, user: this.#userId(user) })),
    groups: async (row) => added(await this.#transfers.groups.put(groupEntry(row))),
  };
  readonly #withdrawals: { readonly [K in WithdrawableKind]: (row: MapRow<K>) => Promise<boolean> } = {
    addresses: (row) => this.#withdrawAddress(row),
    devices: (row) => this.#withdrawDevice(row),
    contacts: ({ user, ...row }) => this.#transfers.contacts.withdraw({ ...row, user: this.#userId(user) }),
    access: ({ user, ...row }) => this.#transfers.access.withdraw({ ...row, user: this.#userId(user) }),
    groups: (row) => this.#transfers.groups.withdraw(groupEntry(row)),
  };

  constructor(options: MigrationOptions) {
    this.#options = options;
  }

  async import(kind: MapKind, rows: readonly unknown[]): Promise<ImportResult> {
    const counts = { added: 0, known: 0 };
    const refused = await eachRow(rows.entries(), async (given) => {
      counts[await this.#imports[kind](parsed(kind, given) as never)]++;
    });
    return { ...counts, refused };
  }

  /**
   * Takes rows back, the last one first: what an import brought, and what was there like it before. An address that has another partner,
   * and a client with another Instance ID, stay.
   */
  async withdraw(kind: WithdrawableKind, rows: readonly unknown[]): Promise<WithdrawalResult> {
    const counts = { removed: 0, absent: 0 };
    const refused = await eachRow([...rows.entries()].reverse(), async (given) => {
      const isGone = await this.#withdrawals[kind](parsed(kind, given) as never);
      counts[isGone ? 'removed' : 'absent']++;
    });
    return { ...counts, refused: refused.reverse() };
  }

  /** Users come without their passwords, contacts by whole users. @param after `next` of the page before */
  async export(kind: MapKind, limit: number, after?: string): Promise<ExportPage> {
    const { imps, addresses, devices } = this.#options;
    switch (kind) {
      case 'devices':
        return page(devices.list(undefined, after), limit, ({ user, uuid }) => `${user}\t${uuid}`, deviceRow);
      case 'addresses':
        return page(
          addresses.list(after),
          limit,
          ({ wv }) => wv,
          (pair) => pair,
        );
      case 'users':
        return page(
          imps().users.all(after as UserId | undefined),
          limit,
          ({ user }) => user,
          ({ user, msisdn, state }) => ({ user, msisdn, state }),
        );
      case 'contacts':
        return wholePage(
          this.#transfers.contacts.all(after as UserId | undefined),
          limit,
          ({ user }) => user,
        );
      case 'access':
        return wholePage(this.#transfers.access.all(after as UserId | undefined), limit, ({ user }) => user);
      case 'groups': {
        const all = this.#transfers.groups.all(after as ResourceId | undefined);
        const { rows, next } = await wholePage(all, limit, ({ group }) => group);
        return { rows: rows.map(groupRow), next };
      }
    }
  }

  get #transfers(): ImpsServer['transfers'] {
    return this.#options.imps().transfers;
  }

  async #user({ user, password, msisdn, aor, privateId }: MapRow<'users'>): Promise<Outcome> {
    const { imps, clock, subscribers } = this.#options;
    const address = this.#userId(user);
    const there = await imps().users.find(address);
    // the phone would not get in with what it has
    if (there && (there.password !== password || (msisdn !== undefined && there.msisdn !== msisdn)))
      throw new ParleyError('gateway-user-differs', address);
    if (msisdn !== undefined && !/^\+\d{3,15}$/.test(msisdn))
      throw new ParleyError('gateway-row-invalid', 'msisdn is +DIGITS');
    if (privateId !== undefined && aor === undefined)
      throw new ParleyError('gateway-row-invalid', 'privateId without aor');
    if (aor !== undefined) await this.#address({ wv: address, aor });
    if (privateId !== undefined && aor !== undefined) {
      const wanted = [parseAor(aor), ...(msisdn === undefined ? [] : [parseAor(`tel:${msisdn}`)])];
      const known = await subscribers.get(privateId);
      if (!known) await subscribers.add({ privateId, password, identities: [...new Set(wanted)] });
      else if (!known.identities.some((identity) => identity.aor === wanted[0]))
        throw new ParleyError('subscriber-exists', privateId);
    }
    const record = { user: address, password, msisdn, state: 'active' as const, createdAt: clock.now() };
    return (await imps().users.create(record)) ? 'added' : 'known';
  }

  async #address({ wv, aor }: MapRow<'addresses'>): Promise<Outcome> {
    const { addresses } = this.#options;
    const before = await addresses.pairOf(this.#userId(wv));
    await addresses.provision(wv, aor);
    return before ? 'known' : 'added';
  }

  async #withdrawAddress({ wv, aor }: MapRow<'addresses'>): Promise<boolean> {
    const { addresses } = this.#options;
    const user = this.#userId(wv);
    if ((await addresses.pairOf(user))?.aor !== parseAor(aor)) return false;
    await addresses.remove(user);
    return true;
  }

  async #device(row: MapRow<'devices'>): Promise<Outcome> {
    return this.#options.devices.import(this.#client(row), row.instance);
  }

  async #withdrawDevice(row: MapRow<'devices'>): Promise<boolean> {
    const { devices } = this.#options;
    const client = this.#client(row);
    const known = await devices.find(client.user, clientUuid(client));
    const isOther =
      row.instance !== undefined && known && known.instance !== InstanceId.fromUrn(row.instance).urn;
    if (!known || isOther) return false;
    await devices.remove(client.user, known.uuid);
    return true;
  }

  #client({ user, clientId, msisdn, applicationId }: MapRow<'devices'>): ImpsClient {
    if (clientId === undefined && msisdn === undefined)
      throw new ParleyError('gateway-row-invalid', 'neither clientId nor msisdn');
    const client: ClientId = { url: clientId, msisdn };
    return { user: this.#userId(user), client, applicationId: applicationId ?? '' };
  }

  #userId(text: string): UserId {
    const user = parseUserId(text, this.#options.home);
    if (user === undefined) throw new ParleyError('gateway-address-invalid', text.slice(0, 80));
    return user;
  }
}

const added = (isNew: boolean): Outcome => (isNew ? 'added' : 'known');

/** Does something with each row. @returns those that were refused */
async function eachRow(
  rows: Iterable<readonly [number, unknown]>,
  work: (given: unknown) => Promise<void>,
): Promise<RefusedRow[]> {
  const refused: RefusedRow[] = [];
  for (const [row, given] of rows) {
    try {
      await work(given);
    } catch (error) {
      if (!(error instanceof ParleyError)) throw error;
      refused.push({ row, code: error.code, message: error.message });
    }
  }
  return refused;
}

/** @throws ParleyError `gateway-row-invalid` */
function parsed<K extends MapKind>(kind: K, given: unknown): MapRow<K> {
  const result = rowSchemas[kind].safeParse(given);
  if (result.success) return result.data as MapRow<K>;
  const [issue] = result.error.issues;
  throw new ParleyError('gateway-row-invalid', `${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`);
}

function groupEntry({ group, owner, member, role, ...row }: MapRow<'groups'>): GroupEntry {
  const properties: Record<string, string> = {};
  for (const [column, name] of Object.entries(groupProperties)) {
    const value = row[column as keyof typeof groupProperties];
    if (value !== undefined) properties[name] = value;
  }
  return { group, owner, properties, member, role };
}

function groupRow({ properties, ...entry }: GroupEntry): object {
  const columns = Object.entries(groupProperties).map(
    ([column, name]) => [column, properties[name]] as const,
  );
  return { ...entry, ...Object.fromEntries<string | undefined>(columns) };
}

/** A device as it is exported; what an import takes has the same names. */
export function deviceRow(device: DeviceRecord): Record<string, unknown> {
  const { user, uuid, client, applicationId, instance, source, handset, formerClient, collision } = device;
  return {
    user,
    clientId: client.url,
    msisdn: client.msisdn,
    applicationId: applicationId === '' ? undefined : applicationId,
    instance,
    uuid,
    source,
    handset,
    formerClient,
    collision: collision ?? false,
    createdAt: new Date(device.createdAt).toISOString(),
  };
}

async function page<T>(
  all: AsyncIterable<T>,
  limit: number,
  keyOf: (one: T) => string,
  show: (one: T) => object,
): Promise<ExportPage> {
  const rows: object[] = [];
  for await (const one of all) if (rows.push(show(one)) === limit) return { rows, next: keyOf(one) };
  return { rows };
}

/** As many rows as fill the limit, and those after them that have the same key. */
async function wholePage<T extends object>(
  all: AsyncIterable<T>,
  limit: number,
  keyOf: (one: T) => string,
): Promise<{ readonly rows: T[]; readonly next?: string | undefined }> {
  const rows: T[] = [];
  for await (const one of all) {
    const last = rows.at(-1);
    if (last && rows.length >= limit && keyOf(last) !== keyOf(one)) return { rows, next: keyOf(last) };
    rows.push(one);
  }
  return { rows };
}
