import { describe, expect, it } from 'vitest';
import { route, type Address, type Candidate } from '../../../src/imps/delivery/routing.js';
import type { OfflineHandling, OnlineHandling } from '../../../src/imps/state/records.js';

const session = (id: string, more: Partial<Candidate> = {}): Candidate => ({
  id,
  client: `wv:${id}`,
  applicationId: '',
  takesMessages: true,
  imPriority: 0,
  priority: 0,
  onlineHandling: 'SERVERLOGIC',
  seenAt: 0,
  ...more,
});

interface Case {
  readonly rule: string;
  readonly sessions: readonly Candidate[];
  readonly to?: Address;
  readonly offline?: OfflineHandling;
  readonly order?: 'larger-first' | 'smaller-first';
  readonly store?: boolean;
  /** Sessions that get the message, or what becomes of it else. */
  readonly outcome: string;
}

const phone = session('phone', { imPriority: 5, priority: 1, seenAt: 100 });
const desk = session('desk', { imPriority: 5, priority: 9, seenAt: 50 });
const web = session('web', { imPriority: 1, priority: 99, seenAt: 900 });
const all = (onlineHandling: OnlineHandling): Candidate[] =>
  [phone, desk, web].map((candidate) => ({ ...candidate, onlineHandling }));

const cases: readonly Case[] = [
  { rule: 'one session gets it', sessions: [web], outcome: 'web' },
  { rule: 'the session with the larger ClientIMPriority gets it', sessions: [web, phone], outcome: 'phone' },
  {
    rule: 'with equal ClientIMPriority the larger SessionPriority decides',
    sessions: [phone, desk, web],
    outcome: 'desk',
  },
  {
    rule: 'with equal priorities the session that was used last gets it',
    sessions: [session('old', { seenAt: 1 }), session('new', { seenAt: 2 })],
    outcome: 'new',
  },
  {
    rule: 'an operator may have the smaller priority first',
    sessions: [phone, desk, web],
    order: 'smaller-first',
    outcome: 'web',
  },
  { rule: 'FORKALL gives it to all', sessions: all('FORKALL'), outcome: 'desk phone web' },
  { rule: 'DETECT gives it to the one that was used last', sessions: all('DETECT'), outcome: 'web' },
  {
    rule: 'the handling of the first session in order counts',
    sessions: [phone, { ...desk, onlineHandling: 'FORKALL' }, web],
    outcome: 'desk phone web',
  },
  {
    rule: 'a session without instant messages gets none',
    sessions: [{ ...phone, takesMessages: false }, web],
    outcome: 'web',
  },
  {
    rule: 'a named client gets it though others come first',
    sessions: [phone, desk, web],
    to: { client: 'wv:web' },
    outcome: 'web',
  },
  {
    rule: 'a named client gets it alone, whatever its handling',
    sessions: all('FORKALL'),
    to: { client: 'wv:phone' },
    outcome: 'phone',
  },
  {
    rule: 'a named application gets it',
    sessions: [phone, session('game', { applicationId: 'chess' })],
    to: { applicationId: 'chess' },
    outcome: 'game',
  },
  {
    rule: 'of two clients of one application the first in order gets it',
    sessions: [
      session('a', { applicationId: 'chess' }),
      session('b', { applicationId: 'chess', imPriority: 1 }),
    ],
    to: { applicationId: 'chess' },
    outcome: 'b',
  },
  { rule: 'nobody there, SENDSTORE stores', sessions: [], offline: 'SENDSTORE', outcome: 'store' },
  { rule: 'nobody there, SENDREJECT refuses', sessions: [], offline: 'SENDREJECT', outcome: 'reject' },
  { rule: 'nobody there, PRIORITYSTORE stores', sessions: [], offline: 'PRIORITYSTORE', outcome: 'store' },
  {
    rule: 'nobody there, PRIORITYREJECT refuses',
    sessions: [],
    offline: 'PRIORITYREJECT',
    outcome: 'reject',
  },
  { rule: 'nobody there, REJECT refuses', sessions: [], offline: 'REJECT', outcome: 'reject' },
  {
    rule: 'an operator who stores nothing refuses',
    sessions: [],
    offline: 'SENDSTORE',
    store: false,
    outcome: 'reject',
  },
  {
    rule: 'only sessions without instant messages there is nobody there',
    sessions: [{ ...phone, takesMessages: false }],
    outcome: 'store',
  },
  ...(['SENDSTORE', 'SENDREJECT'] as const).map((offline) => ({
    rule: `the named client is not there, ${offline} sends to all others`,
    sessions: [phone, desk],
    to: { client: 'wv:web' },
    offline,
    outcome: 'desk phone',
  })),
  ...(['PRIORITYSTORE', 'PRIORITYREJECT'] as const).map((offline) => ({
    rule: `the named client is not there, ${offline} sends to the first of the others`,
    sessions: [phone, desk],
    to: { client: 'wv:web' },
    offline,
    outcome: 'desk',
  })),
  {
    rule: 'the named client is not there, REJECT refuses though others are',
    sessions: [phone, desk],
    to: { client: 'wv:web' },
    offline: 'REJECT',
    outcome: 'reject',
  },
];

describe('which session gets a message', () => {
  it.each(cases)(
    '$rule',
    ({ sessions, to = {}, offline = 'SENDSTORE', order = 'larger-first', store = true, outcome }) => {
      const decision = route(sessions, to, offline, { priorityOrder: order, storeOffline: store });
      expect(decision.kind === 'deliver' ? [...decision.sessions].sort().join(' ') : decision.kind).toBe(
        outcome,
      );
    },
  );
});
