import type { ResourceId } from '../../imps/index.js';
import type { Dialog, SipStack } from '../../sip/stack.js';
import { table, type Store } from '../../store/store.js';

/** The dialog of an open session: enough to end it after the process that had it is gone. */
export interface DialogRecord {
  /** The process that has it. */
  readonly holder: string;
  readonly callId: string;
  /** From and To of a request of ours, with tags. */
  readonly local: string;
  readonly remote: string;
  readonly remoteTarget: string;
  readonly routeSet: readonly string[];
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** The phone in the group whose focus is the other side; it comes back after the end. */
  readonly member?: GroupMember | undefined;
}

/** A phone in a group. */
export interface GroupMember {
  readonly group: ResourceId;
  /** Session-ID of its IMPS session. */
  readonly session: string;
}

/** By Call-ID and own tag; those of groups by group and session before. */
const dialogs = table<DialogRecord>('gateway-dialogs');

/** Above every number that a dialog of ours reaches (RFC 3261 §12.2.1.1). */
const LAST_SEQUENCE = 2_000_000_000;
const AT_ONCE = 64;

export interface SessionRecordsOptions {
  readonly store: Store;
  readonly stack: SipStack;
  readonly holder: string;
  now(): number;
  /** Whether another process lives. */
  isAlive(holder: string): boolean;
}

/** What is kept of open sessions, so that the other side is told when this process, or another node, did not end them itself. */
export class SessionRecords {
  readonly #options: SessionRecordsOptions;

  constructor(options: SessionRecordsOptions) {
    this.#options = options;
  }

  async started(dialog: Dialog, member?: GroupMember): Promise<void> {
    const { store, holder } = this.#options;
    const value: DialogRecord = {
      holder,
      callId: dialog.callId,
      local: `<${dialog.localUri}>;tag=${dialog.localTag}`,
      remote: `<${dialog.remoteUri}>;tag=${dialog.remoteTag}`,
      remoteTarget: dialog.remoteTarget,
      routeSet: dialog.routeSet,
      startedAt: this.#options.now(),
      member: member && { group: member.group, session: member.session },
    };
    await store.update(dialogs, keyOf(dialog, member), () => ({ kind: 'put', value, result: undefined }));
  }

  /** @param member as it was given when the session started */
  ended(dialog: Dialog, member?: GroupMember): Promise<void> {
    const key = keyOf(dialog, member);
    return this.#options.store.update(dialogs, key, () => ({ kind: 'remove', result: undefined }));
  }

  /** The phones that are in a group by this process or another one that lives. @returns their Session-IDs */
  async phonesIn(group: ResourceId): Promise<ReadonlySet<string>> {
    const { store, holder } = this.#options;
    const found = new Set<string>();
    for await (const { value } of store.scan(dialogs, { prefix: `${group}\t` }))
      if (value.member && (value.holder === holder || this.#options.isAlive(value.holder)))
        found.add(value.member.session);
    return found;
  }

  /**
   * Ends the sessions of processes that are gone. Several nodes that do so at once do no harm: the second BYE gets 481.
   * @param age milliseconds that a session has at least: a process that has just started may not be known yet.
   * @returns the phones that were in groups
   */
  async endOrphans(age: number): Promise<readonly GroupMember[]> {
    const { store, holder } = this.#options;
    const isGone = ({ holder: other, startedAt }: DialogRecord): boolean =>
      other !== holder && !this.#options.isAlive(other) && this.#options.now() - startedAt >= age;
    const members: GroupMember[] = [];
    const running = new Set<Promise<void>>();
    for await (const { key, value } of store.scan(dialogs)) {
      if (!isGone(value)) continue;
      if (value.member) members.push(value.member);
      const one = this.#end(key, value).finally(() => running.delete(one));
      running.add(one);
      if (running.size >= AT_ONCE) await Promise.race(running);
    }
    await Promise.all(running);
    return members;
  }

  async #end(key: string, record: DialogRecord): Promise<void> {
    await this.#bye(record);
    await this.#options.store.update(dialogs, key, (current) =>
      current?.holder === record.holder
        ? { kind: 'remove', result: undefined }
        : { kind: 'keep', result: undefined },
    );
  }

  async #bye({ callId, local, remote, remoteTarget, routeSet }: DialogRecord): Promise<void> {
    await this.#options.stack.request(remoteTarget, {
      method: 'BYE',
      headers: {
        From: local,
        To: remote,
        'Call-ID': callId,
        CSeq: `${LAST_SEQUENCE} BYE`,
        Reason: 'SIP;cause=480;text="The server started again"',
      },
      route: routeSet,
    });
  }
}

const keyOf = ({ callId, localTag }: Dialog, member?: GroupMember): string =>
  `${member ? `${member.group}\t${member.session}\t` : ''}${callId}\t${localTag}`;
