import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { element, textOf } from '../../../src/imps/codec/element.js';
import { mailbox, outbox, sessions } from '../../../src/imps/state/records.js';
import type { Change, Table } from '../../../src/store/store.js';
import { MemoryStore } from '../../tools/memory-store.js';
import { message, type Phone } from '../tools/phone.js';
import { userId, worldOn, type World } from '../tools/world.js';

/** A store in which something else happens just before the next write of a table. */
class Interrupted extends MemoryStore {
  #before: { readonly table: Table<unknown>; readonly happens: () => Promise<unknown> } | undefined;

  before(table: Table<unknown>, happens: () => Promise<unknown>): void {
    this.#before = { table, happens };
  }

  get happened(): boolean {
    return this.#before === undefined;
  }

  override async update<T, R>(
    table: Table<T>,
    key: string,
    fn: (current: T | undefined) => Change<T, R>,
  ): Promise<R> {
    const before = this.#before;
    if (before?.table.name === table.name) {
      this.#before = undefined;
      await before.happens();
    }
    return super.update(table, key, fn);
  }
}

let here: World<Interrupted>;
let alice: Phone;
const pages: string[] = [];
beforeEach(async () => {
  pages.length = 0;
  const pager = {
    methods: ['SSMS'],
    page: async (_: string, __: object, text: string) => pages.push(text) > 0,
  };
  here = await worldOn(new Interrupted(), new VirtualClock(), {}, { pagers: [pager] });
  alice = await here.phone('alice').start();
});
afterEach(async () => {
  expect(here.store.happened).toBe(true);
  expect(here.errors).toEqual([]);
  await here.close();
});

const bobWith = (client: string): Phone =>
  here.phone('bob', { clientId: `wv:${client}`, msisdn: '+46701234567' });
const toBob = message('just in time', [userId('bob')]);
const invitation = element(
  'Invite-Request',
  element('InviteID', 'i-1'),
  element('InviteType', 'IM'),
  element('Recipient', element('User', element('UserID', userId('bob')))),
);
const ended = (phone: Phone) => async (): Promise<void> => {
  expect(await here.server.disconnect(phone.sessionId ?? '')).toBe(true);
};

describe('what is given to a session that ends at that moment', () => {
  it.each([mailbox, outbox])(
    'comes to another session of the user, and CIR tells of it: $name',
    async (table) => {
      const first = await bobWith('first').start();
      const other = await bobWith('other').start();
      // the last one that was heard of gets it
      here.clock.advance(1000);
      await first.request(element('GetList-Request'));
      here.store.before(table, ended(first));
      expect(await alice.code(toBob)).toBe(200);
      expect(here.store.size(outbox)).toBe(1);
      expect(await other.messages()).toEqual(['just in time']);
      expect(here.store.size(outbox)).toBe(0);
    },
  );

  it.each([mailbox, outbox])('is announced by WVON where there is no other: $name', async (table) => {
    const only = await bobWith('only').start(element('SupportedOfflineBearer', 'SSMS'));
    here.store.before(table, ended(only));
    expect(await alice.code(toBob)).toBe(200);
    expect(pages).toEqual(['WVON 1.3 Offline-Message-Notification']);
    expect(here.store.size(outbox)).toBe(0);
    expect(await (await bobWith('next').start()).messages()).toEqual(['just in time']);
  });

  it.each(['another session of the user', 'the next one'])(
    'goes to %s when it is an invitation',
    async (whose) => {
      const first = await bobWith('first').start();
      const other = bobWith('other');
      if (whose !== 'the next one') await other.start();
      here.store.before(outbox, ended(first));
      expect(await alice.code(invitation)).toBe(200);
      if (whose === 'the next one') await other.start();
      expect((await other.drain()).map((asked) => textOf(asked, 'InviteID'))).toEqual(['i-1']);
      expect(here.store.size(outbox)).toBe(0);
    },
  );

  it('goes on when the session ends between the hand-over and its end', async () => {
    const first = await bobWith('first').start();
    // the session hands back what it has, then it is given the invitation, and only then its record goes
    here.store.before(sessions, async () => expect(await alice.code(invitation)).toBe(200));
    await first.request(element('Logout-Request'));
    expect((await (await bobWith('next').start()).drain()).map(({ name }) => name)).toEqual([
      'InviteUser-Request',
    ]);
  });
});

describe('a message that is stored for nobody while a session starts', () => {
  it('comes to that session', async () => {
    const late = bobWith('late');
    here.store.before(mailbox, () => late.start());
    expect(await alice.code(toBob)).toBe(200);
    expect(await late.messages()).toEqual(['just in time']);
    expect(pages).toEqual([]);
  });
});
