import { parseArgs } from 'node:util';
import { measureBindings } from './bindings.js';
import { measureGateway } from './gateway/measure.js';
import { measureGroups } from './groups/measure.js';
import { measureRegEvents } from './reg-event.js';
import { measureCir } from './imps/cir.js';
import { measureCodec } from './imps/codec.js';
import { measureTransactions } from './imps/transactions.js';
import { alternate, table, type Contender, type Work } from './load-runs.js';
import { describeMachine } from './machine.js';
import { measureMsrp } from './msrp/run.js';
import { measurePort } from './port.js';
import { measureSrv } from './srv.js';
import { startBareNode } from './servers/bare-node.js';
import { startKamailio } from './servers/kamailio.js';
import { startParley } from './servers/parley.js';
import { startDispatched, startParleyOnCluster } from './servers/steps.js';
import type { RunningServer } from './servers/server.js';
import { measureSessions } from './sessions.js';
import {
  startDrachtioB2bua,
  startParleyOnDrachtio,
  startParleyOnRedis,
  startTwoParleys,
} from './servers/setups.js';

const USAGE = `npm run bench -- [part ...] [options]

parts: register, digest, invite, bindings (all when none is named),
       gateway (IMPS phones and SIP devices), groups (group sessions), reg-event (NOTIFYs of registrations), setups (LMDB, Redis, drachtio-server side by side), nodes (one and two on one Redis),
       steps (Redis, Redis Cluster, Kamailio in front of one and two),
       srv (two under one name of DNS, one of which dies),
       port (what the SIP stack port costs),
       sessions (1-1 sessions as proxy and B2BUA, open ones, deferred messages),
       imps (logins, messages, codec beside libwbxml, CIR over TCP)
  --rounds N     runs of each server, one after the other (5)
  --calls N      calls of a run at saturation (100000; invite takes a fifth)
  --rate N       calls a second of the run below saturation (4000; invite takes a quarter, reg-event half)
  --users N      users, one device each (10000)
  --sessions N   with CIR over TCP, for imps (100000)
  --share N      part of the transactions and codec runs of imps, for a short try (1)
  --bindings N   for the part of that name (1000000)
  --watchers N   subscriptions whose memory is measured in the part reg-event (100000)
  --phones N     phones that are logged in in the part gateway (100000), which sends 2000 messages each way or --calls, if fewer, after as many to warm up
  --idle N       idle groups of ten in the part groups (10000)
  --open N       sessions open at once in the part sessions (10000)
  --messages N   deferred messages of the part sessions (1000000), for the users of --users
  --without NAME leaves out kamailio, parley, bare or drachtio; may be repeated
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    calls: { type: 'string', default: '100000' },
    rate: { type: 'string', default: '4000' },
    users: { type: 'string', default: '10000' },
    bindings: { type: 'string', default: '1000000' },
    open: { type: 'string', default: '10000' },
    messages: { type: 'string', default: '1000000' },
    idle: { type: 'string', default: '10000' },
    phones: { type: 'string', default: '100000' },
    watchers: { type: 'string', default: '100000' },
    sessions: { type: 'string', default: '100000' },
    share: { type: 'string', default: '1' },
    without: { type: 'string', multiple: true, default: [] },
    help: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const calls = Number(values.calls);
const rate = Number(values.rate);
const users = Number(values.users);
const without = new Set(values.without);
const told = (line: string): boolean => process.stderr.write(`${line}\n`);
const print = (text: string): boolean => process.stdout.write(`${text}\n\n`);

function contenders(digest: boolean, floor: boolean): Contender[] {
  const all: (Contender & { key: string })[] = [
    { key: 'kamailio', name: 'Kamailio', start: () => startKamailio({ digest }) },
    { key: 'parley', name: 'Parley', start: () => startParley({ digest, subscribers: users }) },
    { key: 'bare', name: 'bare Node.js socket', start: startBareNode },
  ];
  return all.filter(({ key }) => !without.has(key) && (floor || key !== 'bare'));
}

async function compare(
  title: string,
  work: Omit<Work, 'rate'>,
  low: number,
  who: Contender[],
): Promise<void> {
  const saturated = await alternate(who, { ...work, rate: 0 }, rounds, told);
  print(`### ${title}, at saturation\n\n${table(saturated)}`);
  const paced = { ...work, rate: low, calls: low * 8, warmUp: work.warmUp };
  print(`### ${title}, at ${low} a second\n\n${table(await alternate(who, paced, rounds, told))}`);
}

/** The same Parley on its own sockets and LMDB, on Redis, and on drachtio-server. */
const setups: Contender[] = [
  { name: 'Parley', start: () => startParley() },
  { name: 'Parley on Redis', start: () => startParleyOnRedis() },
  ...(without.has('drachtio') ? [] : [{ name: 'Parley on drachtio-server', start: startParleyOnDrachtio }]),
];

/** From one process to many, with an edge in front and a cluster behind. */
const steps: Contender[] = [
  { name: 'Parley on Redis', start: () => startParleyOnRedis() },
  { name: 'Parley on a Redis Cluster of three', start: () => startParleyOnCluster() },
  { name: 'Kamailio, one Parley on Redis', start: () => startDispatched(1) },
  { name: 'Kamailio, two Parleys on Redis', start: () => startDispatched(2) },
];

const registers = { scenario: 'register', users, calls: calls / 4, warmUp: calls / 20, rate: 0 } as const;

async function registersAndInvites(who: readonly Contender[]): Promise<void> {
  print(`### REGISTER, at saturation\n\n${table(await alternate(who, registers, rounds, told))}`);
  const invites = {
    scenario: 'invite-public-gruu',
    users: 100,
    calls: calls / 20,
    warmUp: calls / 100,
    rate: 0,
  } as const;
  print(`### INVITE to BYE, at saturation\n\n${table(await alternate(who, invites, rounds, told))}`);
}

const all = ['register', 'digest', 'invite', 'bindings'];

const parts: Record<string, () => Promise<void>> = {
  setups: () => registersAndInvites(setups),
  steps: async () => {
    await registersAndInvites(steps);
    const digest = { digest: true, subscribers: users };
    const who = [
      { name: 'Parley on Redis', start: () => startParleyOnRedis(digest) },
      { name: 'Parley on a Redis Cluster of three', start: () => startParleyOnCluster(digest) },
    ];
    const challenged = { ...registers, scenario: 'register-digest' } as const;
    print(`### REGISTER with digest\n\n${table(await alternate(who, challenged, rounds, told))}`);
  },
  srv: async () => {
    print(`### DNS SRV\n\n${await measureSrv(calls / 10, told)}`);
  },
  port: async () => {
    const register = { users, calls, warmUp: calls / 4 };
    print(`### The SIP stack port\n\n${await measurePort(rounds, register, told)}`);
  },
  nodes: async () => {
    const one: Contender = { name: 'one Parley on Redis', start: () => startParleyOnRedis() };
    const two: Contender = { name: 'two Parleys on Redis', start: startTwoParleys };
    const work = { scenario: 'register', users, calls: calls / 4, warmUp: calls / 20, rate: 0 } as const;
    print(
      `### REGISTER at saturation, a SIPp a node, all with the same users\n\n${table(await alternate([one, two], work, rounds, told))}`,
    );
    const own = { ...work, users: users / 2, ownUsers: true };
    print(
      `### REGISTER at saturation, each SIPp with half of the users\n\n${table(await alternate([one, two], own, rounds, told))}`,
    );
  },
  register: () =>
    compare(
      'REGISTER without digest',
      { scenario: 'register', users, calls, warmUp: calls / 4 },
      rate,
      contenders(false, true),
    ),
  digest: () =>
    compare(
      'REGISTER with digest (two requests a call)',
      { scenario: 'register-digest', users, calls: calls / 2, warmUp: calls / 8 },
      rate / 2,
      contenders(true, false),
    ),
  invite: () =>
    compare(
      'INVITE to BYE through the proxy',
      { scenario: 'invite-public-gruu', users: 100, calls: calls / 5, warmUp: calls / 20 },
      rate / 4,
      contenders(false, false),
    ),
  sessions: async () => {
    const inPath = { cpm: { policy: { mediaPath: true } } };
    const b2bua = (): Promise<RunningServer> => startParley({ name: 'Parley as B2BUA', settings: inPath });
    const who = [...contenders(false, false), { name: 'Parley as B2BUA', start: b2bua }];
    if (!without.has('drachtio')) who.push({ name: 'drachtio-srf createB2BUA', start: startDrachtioB2bua });
    const work = { scenario: 'invite-aor', users: 100, calls: calls / 5, warmUp: calls / 20 } as const;
    await compare('1-1 sessions, INVITE to BYE', work, rate / 4, who);
    const open = { sessions: Number(values.open), messages: Number(values.messages), users };
    print(`### Open sessions and deferred messages\n\n${await measureSessions(open, told)}`);
  },
  'reg-event': async () => {
    const work = { users, rate: rate / 2, subscriptions: Number(values.watchers) };
    print(`### Registration events\n\n${await measureRegEvents(work, told)}`);
  },
  groups: async () => {
    print(`### Group sessions\n\n${await measureGroups({ idle: Number(values.idle), made: 500 }, told)}`);
  },
  imps: async () => {
    const share = Number(values.share);
    const sessions = Number(values.sessions);
    print(`### IMPS: CPU of a transaction\n\n${await measureTransactions(rounds, share, told)}`);
    print(`### IMPS: WBXML beside libwbxml\n\n${measureCodec(rounds, Math.ceil(20_000 * share), told)}`);
    const atOnce = Math.min(10_000, sessions);
    print(`### IMPS: CIR over TCP\n\n${await measureCir(sessions, atOnce, told)}`);
  },
  msrp: async () => {
    print(`### MSRP through a relay\n\n${await measureMsrp(calls, rounds, without, told)}`);
  },
  gateway: async () => {
    const work = { pairs: 16, messages: Math.min(2_000, calls), phones: Number(values.phones) };
    print(`### The gateway\n\n${await measureGateway(work, told)}`);
  },
  bindings: async () => {
    print(
      `### Memory and start\n\n${await measureBindings(Number(values.bindings), { withKamailio: !without.has('kamailio'), told })}`,
    );
  },
};

// leaving by exit() ends the servers and SIPp too
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

const unknown = positionals.filter((part) => !(part in parts));
if (values.help || unknown.length > 0) {
  process.stderr.write(USAGE);
  process.exitCode = values.help ? 0 : 2;
} else {
  print(describeMachine());
  for (const part of positionals.length > 0 ? positionals : all) await parts[part]!();
  print(`\`npm run bench -- ${process.argv.slice(2).join(' ')}\``);
}
