import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { child, element, numberOf, textOf } from '../../../src/imps/codec/element.js';
import { LmdbStore } from '../../../src/store/lmdb/lmdb-store.js';
import type { Change, ScanRange, StoredRecord, Table } from '../../../src/store/store.js';
import { useCleanups } from '../../tools/cleanups.js';
import { message, type Phone } from '../tools/phone.js';
import { userId, worldOn, type World } from '../tools/world.js';

const cleanups = useCleanups();

/** Counts what it is asked for: records read one by one, written, and given by scans. */
class CountingStore extends LmdbStore {
  asked = 0;

  override get<T>(table: Table<T>, key: string): Promise<T | undefined> {
    this.asked++;
    return super.get(table, key);
  }

  override update<T, R>(
    table: Table<T>,
    key: string,
    fn: (current: T | undefined) => Change<T, R>,
  ): Promise<R> {
    this.asked++;
    return super.update(table, key, fn);
  }

  override async *scan<T>(table: Table<T>, range?: ScanRange): AsyncIterable<StoredRecord<T>> {
    for await (const record of super.scan(table, range)) {
      this.asked++;
      yield record;
    }
  }
}

async function world(): Promise<World<CountingStore>> {
  const folder = mkdtempSync(join(tmpdir(), 'parley-imps-backlog-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  const clock = new VirtualClock();
  const store = new CountingStore(folder, { clock, log: silentLogger });
  cleanups.push(() => store.close());
  const here = await worldOn(store, clock);
  cleanups.push(() => here.close());
  return here;
}

async function fill(here: World<CountingStore>, count: number): Promise<void> {
  for (let at = 0; at < count; at += 500) {
    const some = Array.from({ length: Math.min(500, count - at) }, (_, index) => String(at + index));
    const taken = await Promise.all(
      some.map((content) =>
        here.server.deliver(userId('bob'), {
          sender: { user: userId('alice') },
          contentType: 'text/plain',
          content,
        }),
      ),
    );
    expect(taken.every(({ status }) => status === 200)).toBe(true);
  }
}

/** What the store is asked for while this runs. */
async function costOf(here: World<CountingStore>, work: () => Promise<unknown>): Promise<number> {
  const before = here.store.asked;
  await work();
  return here.store.asked - before;
}

/** A login with services, the oldest messages polled and confirmed, and another that is taken meanwhile. */
async function session(
  here: World<CountingStore>,
): Promise<{ phone: Phone; costs: number[]; seen: string[] }> {
  const phone = here.phone('bob');
  const alice = await here.phone('alice').start();
  const seen: string[] = [];
  const costs = [
    await costOf(here, () => phone.start()),
    await costOf(here, async () => {
      for (let count = 0; count < 12; count++) {
        const [waiting] = await phone.poll();
        seen.push(textOf(waiting?.primitive, 'ContentData') ?? 'none');
        const id = textOf(child(waiting?.primitive, 'MessageInfo'), 'MessageID') ?? '';
        await phone.respond(waiting!.id, element('MessageDelivered', element('MessageID', id)));
      }
    }),
    await costOf(here, () => alice.request(message('more', [userId('bob')]))),
  ];
  return { phone, costs, seen };
}

it(
  '20,000 messages that wait for one user come in order, and a session costs what it does where 40 wait',
  { timeout: 120_000 },
  async () => {
    const [few, many] = [await world(), await world()];
    await fill(few, 40);
    await fill(many, 20_000);
    const [withFew, withMany] = [await session(few), await session(many)];
    expect(withMany.seen).toEqual(Array.from({ length: 12 }, (_, index) => String(index)));
    expect(withMany.costs).toEqual(withFew.costs);
    const list = await withMany.phone.request(element('GetMessageList-Request', element('MessageCount', 1)));
    expect(numberOf(list, 'MessageTotalCount')).toBe(20_000 - 12 + 1);
  },
);
