import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import { parseAor } from '../../identity/aor.js';
import { parseUserId, type ClientId, type ImpsServer, type UserId } from '../../imps/index.js';
import type { Subscribers } from '../../registrar/subscribers.js';
import type { AddressMap } from '../addresses/address-map.js';
import '../errors.js';
import type { DeviceMap } from '../identity/device-map.js';
import type { ImpsClient } from '../identity/instance-name.js';
import type { DeviceRecord } from '../records.js';
import { rowSchemas, type MapKind, type MapRow } from './rows.js';

export interface MigrationOptions {
  readonly clock: Clock;
  readonly addresses: AddressMap;
  readonly devices: DeviceMap;
  readonly subscribers: Subscribers;
  readonly imps: () => ImpsServer;
  /** Domain of the IMPS users. */
  readonly home: string;
}

/** What became of the rows of an import: the good ones are committed, whatever the others are. */
export interface ImportResult {
  readonly added: number;
  /** There already, the same. */
  readonly known: number;
  readonly refused: readonly {
    /** From 0. */
    readonly row: number;
    readonly code: string;
    readonly message: string;
  }[];
}

/** Rows of one kind, and where to go on after them; undefined at the end. */
export interface ExportPage {
  readonly rows: readonly object[];
  readonly next?: string | undefined;
}

type Outcome = 'added' | 'known';

/**
 * Brings users, addresses, clients and contact lists from another server, and gives them out again. Each row stands for itself, and
 * bringing one again changes nothing.
 */
export class Migration {
  readonly #options: MigrationOptions;
  readonly #imports: { readonly [K in MapKind]: (row: MapRow<K>) => Promise<Outcome> } = {
    users: (row) => this.#user(row),
    addresses: (row) => this.#address(row),
    devices: (row) => this.#device(row),
    contacts: (row) => this.#contact(row),
  };

  constructor(options: MigrationOptions) {
    this.#options = options;
  }

  async import(kind: MapKind, rows: readonly unknown[]): Promise<ImportResult> {
    const counts = { added: 0, known: 0 };
    const refused: { row: number; code: string; message: string }[] = [];
    for (const [row, given] of rows.entries()) {
      try {
        counts[await this.#one(kind, given)]++;
      } catch (error) {
        if (!(error instanceof ParleyError)) throw error;
        refused.push({ row, code: error.code, message: error.message });
      }
    }
    return { ...counts, refused };
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
        return wholePage(imps().contacts(after as UserId | undefined), limit, ({ user }) => user);
    }
  }

  async #one<K extends MapKind>(kind: K, given: unknown): Promise<Outcome> {
    const parsed = rowSchemas[kind].safeParse(given);
    if (parsed.success) return this.#imports[kind](parsed.data as MapRow<K>);
    const [issue] = parsed.error.issues;
    throw new ParleyError('gateway-row-invalid', `${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`);
  }

  async #user({ user, password, msisdn, aor, privateId }: MapRow<'users'>): Promise<Outcome> {
    const { imps, clock, subscribers } = this.#options;
    const address = this.#userId(user);
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

  #device({ user, clientId, msisdn, applicationId, instance }: MapRow<'devices'>): Promise<Outcome> {
    if (clientId === undefined && msisdn === undefined)
      throw new ParleyError('gateway-row-invalid', 'neither clientId nor msisdn');
    const client: ClientId = { url: clientId, msisdn };
    const named: ImpsClient = { user: this.#userId(user), client, applicationId: applicationId ?? '' };
    return this.#options.devices.import(named, instance);
  }

  async #contact({ user, ...row }: MapRow<'contacts'>): Promise<Outcome> {
    const added = await this.#options.imps().importContact({ ...row, user: this.#userId(user) });
    return added ? 'added' : 'known';
  }

  #userId(text: string): UserId {
    const user = parseUserId(text, this.#options.home);
    if (user === undefined) throw new ParleyError('gateway-address-invalid', text.slice(0, 80));
    return user;
  }
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
): Promise<ExportPage> {
  const rows: T[] = [];
  for await (const one of all) {
    const last = rows.at(-1);
    if (last && rows.length >= limit && keyOf(last) !== keyOf(one)) return { rows, next: keyOf(last) };
    rows.push(one);
  }
  return { rows };
}
