import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { Trail } from '../../base/trail.js';
import { InstanceId } from '../../identity/instance-id.js';
import type { ClientId, UserId } from '../../imps/index.js';
import type { Store } from '../../store/store.js';
import '../errors.js';
import { gatewayDevices, instanceOwners, type DeviceRecord } from '../records.js';
import {
  canonicalClientId,
  clientUuid,
  handsetOf,
  imeiOf,
  type ImeiSource,
  type ImpsClient,
} from './instance-name.js';

export interface DeviceMapOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly trail: Trail;
  /** Who is believed about IMEIs, in this order. */
  readonly imeiFrom: readonly ImeiSource[];
  /** Whether a client of a user has a session now. */
  isLive(client: ImpsClient): Promise<boolean>;
}

/** Clients of one user that are looked through for the handset of a new one. */
const CLIENTS_OF_USER = 200;

/**
 * One Instance ID for each IMPS client, and back, for ever (3GPP TS 24.229 §3.1, document 003 §5.1.1.3): the IMEI where it is
 * known, else a name-based UUID. Two clients that are there at once never share one.
 */
export class DeviceMap {
  readonly #options: DeviceMapOptions;

  constructor(options: DeviceMapOptions) {
    this.#options = options;
  }

  /** The device that a client is, made at its first login. Resolves when it is committed. */
  async of(client: ImpsClient, networkImei?: string): Promise<DeviceRecord> {
    const known = await this.find(client.user, clientUuid(client));
    if (known) return this.#claimAgain(known, client);
    const record = await this.#choose(client, networkImei);
    await this.#put(record);
    this.#note(record);
    return record;
  }

  find(user: UserId, uuid: string): Promise<DeviceRecord | undefined> {
    return this.#options.store.get(gatewayDevices, keyOf(user, uuid));
  }

  /** The client that an Instance ID of a user stands for now. */
  async byInstance(user: UserId, instance: InstanceId): Promise<DeviceRecord | undefined> {
    const owner = await this.#options.store.get(instanceOwners, keyOf(user, instance.key));
    return owner && this.find(user, owner.uuid);
  }

  /** Devices of one user, or of all, in order of User-IDs. @param after User-ID, tab and UUID of the last one seen */
  async *list(user?: UserId, after?: string): AsyncGenerator<DeviceRecord> {
    const range = {
      ...(user === undefined ? {} : { prefix: keyOf(user, '') }),
      ...(after === undefined ? {} : { after }),
    };
    for await (const { value } of this.#options.store.scan(gatewayDevices, range)) yield value;
  }

  /**
   * Takes over a device from elsewhere: another gateway's export, or an operator's list.
   * @param instance a URN; the computed one when absent.
   * @throws ParleyError `gateway-instance-conflict` when it would change an Instance ID, `instance-id-*`.
   */
  async import(client: ImpsClient, instance: string | undefined): Promise<'added' | 'known'> {
    const known = await this.find(client.user, clientUuid(client));
    const wanted = instance === undefined ? undefined : InstanceId.fromUrn(instance);
    if (known) {
      if (wanted === undefined || InstanceId.fromUrn(known.instance).equals(wanted)) return 'known';
      throw new ParleyError('gateway-instance-conflict', canonicalClientId(client.client));
    }
    if (!wanted) {
      await this.of(client);
      return 'added';
    }
    const record: DeviceRecord = { ...this.#blank(client), instance: wanted.urn, source: 'import' };
    if (!(await this.#claim(record, () => false)))
      throw new ParleyError('gateway-instance-conflict', canonicalClientId(client.client));
    await this.#put(record);
    return 'added';
  }

  /** Forgets a device: its client gets an Instance ID anew at its next login. @throws ParleyError `gateway-device-unknown` */
  async remove(user: UserId, uuid: string): Promise<DeviceRecord> {
    const { store } = this.#options;
    const gone = await store.update(gatewayDevices, keyOf(user, uuid), (current) => {
      if (!current) throw new ParleyError('gateway-device-unknown');
      return { kind: 'remove', result: current };
    });
    const { key } = InstanceId.fromUrn(gone.instance);
    await store.update(instanceOwners, keyOf(user, key), (owner) =>
      owner?.uuid === uuid ? { kind: 'remove', result: undefined } : { kind: 'keep', result: undefined },
    );
    return gone;
  }

  #blank(client: ImpsClient): Omit<DeviceRecord, 'instance' | 'source'> {
    return {
      ...client,
      uuid: clientUuid(client),
      handset: handsetOf(client.client),
      createdAt: this.#options.clock.now(),
    };
  }

  async #choose(client: ImpsClient, networkImei: string | undefined): Promise<DeviceRecord> {
    const blank = this.#blank(client);
    const own: DeviceRecord = { ...blank, instance: `urn:uuid:${blank.uuid}`, source: 'uuid' };
    const former = await this.#formerOn(blank);
    const imei = imeiOf(client, networkImei, this.#options.imeiFrom);
    const better: DeviceRecord | undefined = former
      ? {
          ...blank,
          instance: former.instance,
          source: 'handset',
          formerClient: canonicalClientId(former.client),
        }
      : imei && { ...blank, instance: imei.urn, source: 'imei' };
    if (better && (await this.#claimUnlessLive(better))) return better;
    await this.#claim(own, () => true);
    return better ? { ...own, collision: true } : own;
  }

  /** A client known already keeps its Instance ID, unless the handset's other client is there with it right now. */
  async #claimAgain(known: DeviceRecord, client: ImpsClient): Promise<DeviceRecord> {
    if (await this.#claimUnlessLive(known)) return known;
    const own: DeviceRecord = {
      ...known,
      ...client,
      instance: `urn:uuid:${known.uuid}`,
      source: 'uuid',
      collision: true,
    };
    await this.#claim(own, () => true);
    await this.#put(own);
    this.#note(own);
    return own;
  }

  /** The client that was on the same handset before: its software was renewed, and with it the Client-ID. */
  async #formerOn({
    user,
    uuid,
    handset,
    applicationId,
  }: Omit<DeviceRecord, 'instance' | 'source'>): Promise<DeviceRecord | undefined> {
    if (handset === undefined) return undefined;
    let newest: DeviceRecord | undefined;
    let looked = 0;
    for await (const other of this.list(user)) {
      if (++looked > CLIENTS_OF_USER) break;
      if (other.handset !== handset || other.applicationId !== applicationId || other.uuid === uuid) continue;
      if (!newest || other.createdAt >= newest.createdAt) newest = other;
    }
    return newest;
  }

  /** Makes a client the owner of its Instance ID, unless another one that has it is there now. */
  async #claimUnlessLive(record: DeviceRecord): Promise<boolean> {
    const { key } = InstanceId.fromUrn(record.instance);
    const owner = await this.#options.store.get(instanceOwners, keyOf(record.user, key));
    if (owner?.uuid === record.uuid) return true;
    const other = owner && (await this.find(record.user, owner.uuid));
    if (other && (await this.#options.isLive(other))) return false;
    return this.#claim(record, (current) => current === owner?.uuid);
  }

  #claim(record: DeviceRecord, takesFrom: (owner: string) => boolean): Promise<boolean> {
    const { key } = InstanceId.fromUrn(record.instance);
    return this.#options.store.update(instanceOwners, keyOf(record.user, key), (current) => {
      if (current?.uuid === record.uuid) return { kind: 'keep', result: true };
      if (current && !takesFrom(current.uuid)) return { kind: 'keep', result: false };
      return { kind: 'put', value: { uuid: record.uuid }, result: true };
    });
  }

  #put(record: DeviceRecord): Promise<void> {
    return this.#options.store.update(gatewayDevices, keyOf(record.user, record.uuid), () => ({
      kind: 'put',
      value: record,
      result: undefined,
    }));
  }

  #note({ user, instance, source, collision }: DeviceRecord): void {
    this.#options.trail.record({
      code: collision ? 'gateway.instance-collision' : 'gateway.device-mapped',
      outcome: 'noted',
      clause: '3GPP TS 24.229 §3.1',
      subject: user,
      detail: `${source} ${InstanceId.fromUrn(instance).redacted()}`,
    });
  }
}

const keyOf = (user: UserId, rest: string): string => `${user}\t${rest}`;

/** The client of a session, as the map names it. */
export const clientOf = (session: {
  readonly user: UserId;
  readonly client: ClientId;
  readonly applicationId: string;
}): ImpsClient => ({ user: session.user, client: session.client, applicationId: session.applicationId });
