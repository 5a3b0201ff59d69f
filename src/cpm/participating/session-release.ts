import type { Clock } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import type { DeviceChange, RegisteredDevices } from '../../reg-event/devices.js';
import { splitList } from '../../sip/message/lexer.js';
import { parseAddress } from '../../sip/message/address.js';
import type { SipStack } from '../../sip/stack.js';
import type { Store } from '../../store/store.js';
import type { SessionEnd, SessionRecord, SessionRecords } from './session-records.js';

export interface SessionReleaseOptions {
  readonly stack: SipStack;
  readonly clock: Clock;
  readonly trail: Trail;
  readonly log: Logger;
  /** Tells the other nodes. */
  readonly store: Store;
  readonly devices: RegisteredDevices;
  readonly records: SessionRecords;
  /** Milliseconds in which a device whose registration ran out, or whose connection broke, may come back. */
  readonly graceMs: number;
  /** Whether the device that a GRUU stands for is registered; undefined for what is no GRUU of this domain. */
  isRegistered(gruu: string): Promise<boolean | undefined>;
}

/** Ends a session that a node has in its media path. @returns whether it is one of this node. */
export type EndLegs = (session: string, lost: 'caller' | 'callee') => boolean;

type Side = 'caller' | 'callee';

/** By these a device is gone for good; after others it may come back. */
const final: ReadonlySet<DeviceChange['event']> = new Set(['deactivated', 'unregistered', 'rejected']);
const ending: ReadonlySet<DeviceChange['event']> = new Set([...final, 'expired']);

const CHANNEL = 'cpm-session-release';
const CLAUSE = '3GPP TS 24.229 §5.4.5.1';
/** Higher than any that the device used, whose place we take for its last request (RFC 3261 §12.2.1.1). */
const LAST_CSEQ = 2 ** 31 - 2;

/**
 * Ends sessions of devices that are gone, for the sake of the other side, which would wait for them (3GPP TS 24.229 §5.4.5.1): the
 * BYE goes out in the place of the lost device. A device that registers again in time, under whatever address, keeps its sessions.
 */
export class SessionRelease {
  readonly #options: SessionReleaseOptions;
  readonly #unlisten: (() => void)[];
  #endLegs: EndLegs = () => false;

  constructor(options: SessionReleaseOptions) {
    this.#options = options;
    this.#unlisten = [
      options.devices.onChange((change) => {
        if (ending.has(change.event)) this.#changed(change);
      }),
      options.store.subscribe(CHANNEL, (told) => {
        const { session, lost } = JSON.parse(told) as { session: string; lost: Side };
        this.#endLegs(session, lost);
      }),
    ];
  }

  close(): void {
    for (const unlisten of this.#unlisten) unlisten();
  }

  /** What ends the sessions that pass this server's media path. */
  set endLegs(endLegs: EndLegs) {
    this.#endLegs = endLegs;
  }

  /** A session whose time is over: because a device is gone? @returns false when that is not why. */
  async lost(id: string): Promise<boolean> {
    const { records, clock, trail } = this.#options;
    const record = await records.get(id);
    if (record?.lostUntil === undefined || record.lostUntil > clock.now()) return false;
    const lost = await this.#lostSide(record);
    if (lost === undefined) {
      await records.lost(id, undefined);
      trail.record({
        code: 'cpm.session-kept',
        outcome: 'noted',
        clause: 'RFC 5626 §4.4',
        subject: record.caller.user,
        trace: callIdOf(record),
      });
    } else if (await records.ended(id)) {
      trail.record({
        code: 'cpm.session-released',
        outcome: 'noted',
        clause: CLAUSE,
        subject: record[lost].user,
        trace: callIdOf(record),
        detail: lost,
      });
      await this.#release(record, lost);
    }
    return true;
  }

  #changed({ set, event }: DeviceChange): void {
    const { clock, graceMs, log } = this.#options;
    const until = clock.now() + (final.has(event) ? 0 : graceMs);
    this.#mark(set, until).catch((error: unknown) =>
      log.error({ err: error, set }, 'sessions of a device that is gone run on'),
    );
  }

  async #mark(set: string, until: number): Promise<void> {
    const { records } = this.#options;
    for await (const record of records.list(set))
      if ((await this.#lostSide(record)) !== undefined) await records.lost(record.id, until);
  }

  async #lostSide(record: SessionRecord): Promise<Side | undefined> {
    for (const side of ['caller', 'callee'] as const) if (!(await this.#isThere(record[side]))) return side;
    return undefined;
  }

  /** Only ends of users here can be found to be gone. */
  async #isThere({ set, device }: SessionEnd): Promise<boolean> {
    if (set === undefined || device === undefined) return true;
    const known = await this.#options.isRegistered(device);
    if (known !== undefined) return known;
    return (await this.#options.devices.of(set)).some(({ contact, publicGruu, temporaryGruu }) =>
      [contact, publicGruu, temporaryGruu].includes(device),
    );
  }

  async #release(record: SessionRecord, lost: Side): Promise<void> {
    const { store, log } = this.#options;
    if (record.mediaPath) {
      if (!this.#endLegs(record.id, lost))
        await store.publish(CHANNEL, JSON.stringify({ session: record.id, lost }));
      return;
    }
    this.#bye(record, lost).catch((error: unknown) =>
      log.warn({ err: error, callId: callIdOf(record) }, 'the other side of a lost device was not told'),
    );
  }

  async #bye(record: SessionRecord, lost: Side): Promise<void> {
    const { stack, log } = this.#options;
    const { calleeTag, caller, callee, recordRoute = [] } = record;
    const target = lost === 'caller' ? callee : caller;
    if (target.device === undefined || calleeTag === undefined) return;
    const ends = {
      caller: `<${caller.user}>;tag=${record.id.split('\t')[1]}`,
      callee: `<${callee.user}>;tag=${calleeTag}`,
    };
    const values = recordRoute.flatMap(splitList);
    // as the lost device has it: from its own side on
    const route = lost === 'callee' ? values : values.reverse();
    const own = route.findIndex((value) => {
      const { uri } = parseAddress(value, 'Record-Route');
      return stack.isLocal(uri.host, uri.port);
    });
    const response = await stack.request(target.device, {
      method: 'BYE',
      headers: {
        From: ends[lost],
        To: ends[lost === 'caller' ? 'callee' : 'caller'],
        'Call-ID': callIdOf(record),
        CSeq: `${LAST_CSEQ} BYE`,
        Reason: 'SIP;cause=480;text="Device gone"',
      },
      route: own < 0 ? route : route.slice(own),
    });
    if (response.status >= 300 && response.status !== 481)
      log.info({ status: response.status, callId: callIdOf(record) }, 'the other side did not answer a BYE');
  }
}

const callIdOf = ({ id }: SessionRecord): string => id.split('\t', 1)[0]!;
