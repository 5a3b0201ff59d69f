import { createHash } from 'node:crypto';
import type { Clock } from '../base/clock.js';
import type { Logger } from '../base/log.js';
import type { SavedSubscription } from '../sip/stack.js';
import { table, type Change, type Store, type StoredRecord, type Table } from '../store/store.js';
import { LEASE } from './kept-subscription.js';

/** A subscription in the store. CSeq and version in it are numbers above all that have been used. */
export interface SubscriptionRow {
  /** The running process that sends its NOTIFYs. */
  readonly node: string;
  readonly resource: string;
  readonly watcher: string;
  readonly dialog: SavedSubscription;
  readonly version: number;
}

export interface RowsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** The event package. */
  readonly event: string;
  /** This process, by a name that no other one ever has. */
  readonly node: string;
}

/** CSeq numbers for the NOTIFYs of a lease: each may be challenged, and the dialog sends a last one by itself. */
const SEQUENCES = 1_024;
/** Before the row of a subscription that nobody goes on with is removed. */
const GRACE_MS = 60_000;

/** The subscriptions to one event package in the store. */
export class Rows {
  readonly #options: RowsOptions;
  readonly #table: Table<SubscriptionRow>;

  constructor(options: RowsOptions) {
    this.#options = options;
    this.#table = table(`subscriptions-${options.event}`);
  }

  /** Puts a new one, with the numbers of its first lease. */
  async add(resource: string, watcher: string, dialog: SavedSubscription): Promise<void> {
    const { node } = this.#options;
    const row = withLease({ node, resource, watcher, dialog, version: 0 });
    await this.#update(keyOf(resource, dialog), () => row);
  }

  /** @returns false when it is not this node's any more. */
  reserve(resource: string, dialog: SavedSubscription): Promise<boolean> {
    return this.#update(keyOf(resource, dialog), (row) => this.#own(row) && withLease(row));
  }

  /** @param dialog as the refresh leaves it. @returns false when it is not this node's any more. */
  refresh(resource: string, dialog: SavedSubscription, seconds: number): Promise<boolean> {
    const expiresAt = this.#options.clock.now() + seconds * 1_000;
    const { remoteTarget, remoteSequence } = dialog;
    return this.#update(
      keyOf(resource, dialog),
      (row) =>
        this.#own(row) && { ...row, dialog: { ...row.dialog, remoteTarget, remoteSequence, expiresAt } },
    );
  }

  /** Takes over what another process had. @returns the row as it was, undefined when somebody else did. */
  async take(key: string, from: string): Promise<SubscriptionRow | undefined> {
    const { node } = this.#options;
    let before: SubscriptionRow | undefined;
    const taken = await this.#update(key, (row) => {
      before = row;
      return row?.node === from && withLease({ ...row, node });
    });
    return taken ? before : undefined;
  }

  remove(resource: string, dialog: SavedSubscription): void {
    const { store, log } = this.#options;
    store
      .update(this.#table, keyOf(resource, dialog), (row) =>
        this.#own(row) ? { kind: 'remove', result: undefined } : { kind: 'keep', result: undefined },
      )
      .catch((error: unknown) => log.warn({ err: error }, 'a subscription that ended stays in the store'));
  }

  /** @param resource only those to it. */
  scan(resource?: string): AsyncIterable<StoredRecord<SubscriptionRow>> {
    const prefix = resource === undefined ? '' : prefixOf(resource);
    return this.#options.store.scan(this.#table, { prefix });
  }

  /** Removes those whose time was over long ago, and that nobody has gone on with. */
  async sweep(limit: number): Promise<void> {
    const { store, clock } = this.#options;
    for (const key of await store.due(this.#table, clock.now(), limit))
      await store.update(this.#table, key, (row) =>
        row && row.dialog.expiresAt + GRACE_MS > clock.now()
          ? { kind: 'keep', result: undefined }
          : { kind: 'remove', result: undefined },
      );
  }

  #own(row: SubscriptionRow | undefined): row is SubscriptionRow {
    return row?.node === this.#options.node;
  }

  #update(
    key: string,
    change: (row: SubscriptionRow | undefined) => SubscriptionRow | false,
  ): Promise<boolean> {
    return this.#options.store.update(this.#table, key, (row): Change<SubscriptionRow, boolean> => {
      const value = change(row);
      if (!value) return { kind: 'keep', result: false };
      return { kind: 'put', value, deadline: value.dialog.expiresAt + GRACE_MS, result: true };
    });
  }
}

const withLease = (row: SubscriptionRow): SubscriptionRow => ({
  ...row,
  version: row.version + LEASE,
  dialog: { ...row.dialog, localSequence: row.dialog.localSequence + SEQUENCES },
});

const digest = (text: string): string => createHash('sha256').update(text).digest('base64url').slice(0, 22);

const prefixOf = (resource: string): string => `${digest(resource)}.`;

/** Of fixed length: what phones write into Call-ID and tags may be longer than a key. */
const keyOf = (resource: string, { callId, local, remote }: SavedSubscription): string =>
  prefixOf(resource) + digest(`${callId}\n${local}\n${remote}`);
