import type { Clock } from '../../base/clock.js';
import type { Store } from '../../store/store.js';
import type { Element } from '../codec/element.js';
import { keyOf, lastPart, outbox, type OfUser, type OutboxRecord } from '../state/records.js';
import { unguessable, type Sequence } from '../state/ids.js';

/** A server request that is to go to its session now. */
export interface Waiting extends OutboxRecord {
  /** Its Transaction-ID: the client answers under it. */
  readonly id: string;
}

interface Sent {
  readonly at: number;
  readonly times: number;
  /** Its client was told once more that it waits, after no answer had come. */
  readonly reminded?: boolean | undefined;
}

/** What is known to wait for a session. */
interface Known {
  readonly at: number;
  readonly ids: string[];
  /** Those of them that are no messages, oldest first, with their topics. */
  readonly requests: Map<string, string | undefined>;
  /** Resolves when the store was read. */
  readonly read: Promise<void>;
}

export interface OutboxTimes {
  /** Milliseconds after which an unanswered request is sent again. */
  readonly repeatAfter: number;
  /** Requests of one session that may be without answer. */
  readonly inFlight: number;
  /** Requests of one session that may wait, messages apart. */
  readonly waiting: number;
}

/** Channel on which every node hears that something waits for a session. */
const WAITING = 'imps-waiting';
const MESSAGE = 'message';
const REQUEST = 'request';
/** A request that is no message and was not answered so often is dropped. */
const TIMES = 4;
/** After so long what waits for a session is read from the store again. */
const READ_AGAIN_MS = 300_000;

/**
 * Requests of the server that wait for their sessions, in order. They are committed before anything is acknowledged
 * that depends on them, and stay until the client has answered; what was sent when is only in memory, so after a
 * restart a request may come a second time under the same Transaction-ID. What was given to a client that then neither
 * answered nor came again is announced once more: the answer that carried it may be lost.
 */
export class Outbox {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #ids: Sequence;
  readonly #times: OutboxTimes;
  readonly #onDropped: (session: string) => void;
  readonly #node = unguessable();
  readonly #sent = new Map<string, Map<string, Sent>>();
  readonly #waiting = new Map<string, Known>();

  /** @param onDropped called for each request that gave way to a newer one because too many wait */
  constructor(
    store: Store,
    clock: Clock,
    ids: Sequence,
    times: OutboxTimes,
    onDropped: (session: string) => void,
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#ids = ids;
    this.#times = times;
    this.#onDropped = onDropped;
  }

  /**
   * @param ofUser for a request that another session of the user is to get when this one ends
   * @returns the Transaction-ID once the request is committed; the oldest ones give way to it where too many wait
   */
  async add(session: string, primitive: Element, ofUser?: OfUser): Promise<string> {
    const id = await this.#put(session, this.#ids.next(), { primitive, ofUser });
    await this.#trim(session);
    return id;
  }

  /**
   * Has a request wait that tells of something in place of the one that does already.
   * @param merge what is told then: of what waits, and what is new
   */
  async addNews(
    session: string,
    topic: string,
    primitive: Element,
    merge: (before: Element, now: Element) => Element,
  ): Promise<void> {
    await this.#order(session, 0);
    const { requests = [] } = this.#waiting.get(session) ?? {};
    // what has been sent is the client's to answer
    const older = [...requests].findLast(
      ([id, of]) => of === topic && !this.#sent.get(session)?.has(id),
    )?.[0];
    const before = older === undefined ? undefined : await this.#store.get(outbox, keyOf(session, older));
    const merged = before?.primitive ? merge(before.primitive, primitive) : primitive;
    await this.#put(session, this.#ids.next(), { primitive: merged, topic });
    if (older !== undefined) await this.remove(session, older);
    else await this.#trim(session);
  }

  /** Has a request wait for a session under an ID that it has already; doing so again changes nothing. */
  async take(session: string, id: string, primitive: Element, ofUser?: OfUser): Promise<void> {
    await this.#put(session, id, { primitive, ofUser });
    await this.#trim(session);
  }

  /** Everything that waits for a session, in order. */
  async *all(session: string): AsyncIterable<Waiting> {
    for await (const { key, value } of this.#store.scan(outbox, { prefix: keyOf(session, '') }))
      yield { ...value, id: lastPart(key) };
  }

  /** Has a message of the mailbox pushed or announced; putting the same one again changes nothing. */
  async addMessage(session: string, messageId: string): Promise<string> {
    return this.#put(session, messageId, { primitive: undefined, messageId });
  }

  async #put(session: string, id: string, value: OutboxRecord): Promise<string> {
    await this.#store.update(outbox, keyOf(session, id), () => ({ kind: 'put', value, result: undefined }));
    note(this.#waiting.get(session), id, kindOf(value));
    await this.#store.publish(WAITING, keyOf(session, this.#node, id, kindOf(value)));
    return id;
  }

  /** A client that answers nothing has no more wait for it than the limit. */
  async #trim(session: string): Promise<void> {
    await this.#order(session, 0);
    const requests = this.#waiting.get(session)?.requests ?? new Map<string, string>();
    const tooMany = requests.size - this.#times.waiting;
    if (tooMany <= 0) return;
    for (const id of [...requests.keys()].slice(0, tooMany)) {
      await this.remove(session, id);
      this.#onDropped(session);
    }
  }

  /**
   * Calls back for every request that comes to wait, on any node; `own` tells whether it was this one.
   * @param missed called when requests may have come to wait without a call
   * @returns a function that ends it
   */
  onWaiting(listener: (session: string, own: boolean) => void, missed: () => void): () => void {
    const heard = (payload: string): void => {
      const [session = '', node, id = '', ...kind] = payload.split('\t');
      const own = node === this.#node;
      if (!own) note(this.#waiting.get(session), id, kind.join('\t'));
      listener(session, own);
    };
    return this.#store.subscribe(WAITING, heard, () => {
      this.#waiting.clear();
      missed();
    });
  }

  /** Has every node hear once more that something waits for a session; its channel for CIR may be at any. */
  announce(session: string): Promise<void> {
    return this.#store.publish(WAITING, keyOf(session, this.#node, ''));
  }

  /** Announces again what this node sent and had no answer to in the time after which it may be sent again: once each time. */
  async remind(): Promise<void> {
    const due = this.#clock.now() - this.#times.repeatAfter;
    const announced: Promise<void>[] = [];
    for (const [session, sent] of this.#sent) {
      let late = false;
      for (const [id, last] of sent) {
        if (last.reminded || last.at > due) continue;
        sent.set(id, { ...last, reminded: true });
        late = true;
      }
      if (late) announced.push(this.announce(session));
    }
    await Promise.all(announced);
  }

  /** Sessions for which anything waits, whoever put it there. */
  async *sessions(): AsyncIterable<string> {
    let last: string | undefined;
    for await (const { key } of this.#store.scan(outbox)) {
      const session = key.slice(0, key.indexOf('\t'));
      if (session !== last) yield session;
      last = session;
    }
  }

  /**
   * What may be sent to the session now, oldest first. The cost does not depend on how much waits.
   * @param limit at most so many
   */
  async ready(session: string, limit: number): Promise<Waiting[]> {
    const { repeatAfter, inFlight } = this.#times;
    const sent = this.#sent.get(session);
    const now = this.#clock.now();
    const found: Waiting[] = [];
    let unanswered = 0;
    for (const id of await this.#order(session, inFlight + limit)) {
      const last = sent?.get(id);
      if (last !== undefined && now - last.at < repeatAfter) {
        if (++unanswered >= inFlight) break;
        continue;
      }
      const value = await this.#store.get(outbox, keyOf(session, id));
      if (!value) {
        this.#forget(session, id); // another node took it away
        continue;
      }
      found.push({ ...value, id });
      if (found.length >= limit) break;
    }
    return found;
  }

  /**
   * The first Transaction-IDs that wait for a session, in order. They are read once and then kept up with what is put
   * and removed; now and then they are read again, since an event of another node may be lost.
   */
  async #order(session: string, limit: number): Promise<readonly string[]> {
    const now = this.#clock.now();
    let known = this.#waiting.get(session);
    if (!known || now - known.at > READ_AGAIN_MS) {
      // what is put while the scan runs is inserted into this very list
      const fresh = { at: now, ids: [], requests: new Map<string, string | undefined>() };
      known = { ...fresh, read: this.#read(session, fresh) };
      this.#waiting.set(session, known);
    }
    try {
      await known.read;
    } catch (error) {
      this.#waiting.delete(session);
      throw error;
    }
    return known.ids.slice(0, limit);
  }

  async #read(session: string, into: Pick<Known, 'ids' | 'requests'>): Promise<void> {
    for await (const waiting of this.all(session)) note(into, waiting.id, kindOf(waiting));
  }

  #forget(session: string, id: string): void {
    const known = this.#waiting.get(session);
    known?.requests.delete(id);
    const at = known?.ids.indexOf(id) ?? -1;
    if (at >= 0) known!.ids.splice(at, 1);
  }

  /** A message goes out as its announcement, or whole after all: whatever node its client answers has to know. */
  async announced(session: string, id: string, announced: boolean): Promise<void> {
    await this.#store.update(outbox, keyOf(session, id), (current) =>
      current && (current.announced ?? false) !== announced
        ? { kind: 'put', value: { ...current, announced }, result: undefined }
        : { kind: 'keep', result: undefined },
    );
  }

  /** The request goes out. One that is no message and went out too often is dropped instead: @returns false. */
  async sending(session: string, waiting: Waiting, whole: boolean): Promise<boolean> {
    const sent = this.#sent.get(session) ?? new Map<string, Sent>();
    const times = (sent.get(waiting.id)?.times ?? 0) + 1;
    if (times > TIMES && waiting.messageId === undefined) {
      await this.remove(session, waiting.id);
      return false;
    }
    if (waiting.messageId !== undefined && (waiting.announced ?? false) === whole)
      await this.announced(session, waiting.id, !whole);
    sent.set(waiting.id, { at: this.#clock.now(), times });
    this.#sent.set(session, sent);
    return true;
  }

  /** The request did not go out after all: the answer had no place for it. */
  held(session: string, id: string): void {
    const sent = this.#sent.get(session);
    const last = sent?.get(id);
    if (sent && last) sent.set(id, { ...last, at: -Infinity, times: last.times - 1 });
  }

  /** Takes a request away, because its client answered it. @returns it, or undefined when there was none */
  async remove(session: string, id: string): Promise<OutboxRecord | undefined> {
    const sent = this.#sent.get(session);
    sent?.delete(id);
    if (sent?.size === 0) this.#sent.delete(session);
    this.#forget(session, id);
    return this.#store.update(outbox, keyOf(session, id), (current) =>
      current ? { kind: 'remove', result: current } : { kind: 'keep', result: undefined },
    );
  }

  /** Takes everything away that waits for a session that ended. */
  async clear(session: string): Promise<void> {
    this.#sent.delete(session);
    this.#waiting.delete(session);
    for await (const { id } of this.all(session)) {
      await this.#store.update(outbox, keyOf(session, id), () => ({ kind: 'remove', result: undefined }));
    }
  }
}

/** What nodes tell each other of what waits: `message`, else `request` and its topic. */
const kindOf = ({ messageId, topic }: OutboxRecord): string =>
  messageId !== undefined ? MESSAGE : topic === undefined ? REQUEST : `${REQUEST}\t${topic}`;

/** Puts an ID in its place, unless it is there; most come at the end. */
function note(known: Pick<Known, 'ids' | 'requests'> | undefined, id: string, kind: string): void {
  if (!known || id === '') return;
  const { ids, requests } = known;
  if (kind.startsWith(REQUEST)) requests.set(id, kind.slice(REQUEST.length + 1) || undefined);
  let at = ids.length;
  while (at > 0 && ids[at - 1]! > id) at--;
  if (ids[at - 1] !== id) ids.splice(at, 0, id);
}
