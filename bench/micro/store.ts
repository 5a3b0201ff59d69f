// npx tsc -p bench/micro && node dist/micro/bench/micro/store.js lmdb:/tmp/bench 1000000 300000
import { rmSync } from 'node:fs';
import { SystemClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { openStore } from '../../src/store/open.js';
import { table, type Store } from '../../src/store/store.js';

/** A user with one device, as large as a registrar would keep it: 430 octets encoded. */
interface User {
  readonly aor: string;
  readonly publicIds: readonly string[];
  readonly bindings: readonly Binding[];
}
interface Binding {
  readonly contact: string;
  readonly instance: string;
  readonly instanceKey: string;
  readonly regId: number;
  readonly callId: string;
  readonly cseq: number;
  readonly q: number;
  readonly expiresAt: number;
  readonly registeredAt: number;
  readonly path: readonly string[];
  readonly flow: string;
  readonly userAgent: string;
  readonly capabilities: readonly string[];
  readonly publicGruu: string;
  readonly deviceName: string | null;
}

const [url = 'lmdb:/tmp/parley-bench', records = '100000', updates = '300000'] = process.argv.slice(2);
const count = Number(records);
const total = Number(updates);
const users = table<User>('users');
const start = Date.now();
const clock = new SystemClock((error) => {
  throw error;
});
const open = (): Promise<Store> => openStore(url, { clock, log: silentLogger });
const keyOf = (i: number): string => `sip:user${String(i).padStart(7, '0')}@ims.test`;
const uuid = '-7dec-11d0-a765-00a0c91e6bf6';

function newUser(i: number): User {
  const aor = keyOf(i);
  const binding: Binding = {
    contact: `${aor.slice(0, 15)}@10.0.${(i >> 8) & 255}.${i & 255}:5060;transport=udp`,
    instance: `<urn:uuid:${String(i).padStart(8, '0')}${uuid}>`,
    instanceKey: `urn:uuid:${String(i).padStart(8, '0')}${uuid}`,
    regId: 1,
    callId: `1-${i}@127.0.0.1`,
    cseq: 1,
    q: 1000,
    expiresAt: start + 3_600_000,
    registeredAt: start,
    path: [],
    flow: 'udp:127.0.0.1:5060/10.0.0.12:5060',
    userAgent: 'SIPp/3.6',
    capabilities: ['+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"', 'audio'],
    publicGruu: `${aor};gr=urn:uuid:${String(i).padStart(8, '0')}${uuid}`,
    deviceName: null,
  };
  return { aor, publicIds: [aor, `tel:+49170${String(i).padStart(7, '0')}`], bindings: [binding] };
}

/** A refresh: one binding gets a new CSeq and a later expiry. */
function refresh(store: Store, i: number, run: number): Promise<number> {
  return store.update(users, keyOf(i), (current) => {
    const user = current ?? newUser(i);
    const expiresAt = start + 3_600_000 + run;
    const bindings = user.bindings.map((binding) => ({ ...binding, cseq: binding.cseq + 1, expiresAt }));
    return { kind: 'put', value: { ...user, bindings }, deadline: expiresAt, result: expiresAt };
  });
}

/** Runs `n` refreshes of users picked at random, `width` of them in flight. */
async function load(store: Store, n: number, width: number, pick: (run: number) => number): Promise<void> {
  let run = 0;
  const one = async (): Promise<void> => {
    while (run < n) await refresh(store, pick(run), run++);
  };
  await Promise.all(Array.from({ length: width }, one));
}

const megabytes = (octets: number): string => `${(octets / 1e6).toFixed(0)} MB`;
const at = (): { cpu: number; wall: number } => {
  const { user, system } = process.cpuUsage();
  return { cpu: user + system, wall: performance.now() };
};
const report = (what: string, n: number, from: { cpu: number; wall: number }): void => {
  const to = at();
  const rate = Math.round((n / (to.wall - from.wall)) * 1000);
  const cpu = ((to.cpu - from.cpu) / n).toFixed(2);
  console.log(`${what.padEnd(60)} ${String(rate).padStart(8)} /s ${cpu.padStart(8)} µs CPU`);
};

if (url.startsWith('lmdb:')) rmSync(url.slice('lmdb:'.length), { recursive: true, force: true });
const before = process.memoryUsage().rss;
let store = await open();
let from = at();
await load(store, count, 1000, (run) => run);
report(`load ${count} users`, count, from);
await store.close();
report(`load ${count} users and close`, count, from);

from = at();
store = await open();
await store.get(users, keyOf(count - 1));
console.log(`open and read one: ${(at().wall - from.wall).toFixed(0)} ms`);
console.log(`memory: ${megabytes(process.memoryUsage().rss - before)} more than before`);

for (const width of [1, 100, 1000]) {
  const n = width === 1 ? total / 5 : total;
  await load(store, n / 10, width, () => Math.floor(Math.random() * count));
  from = at();
  await load(store, n, width, () => Math.floor(Math.random() * count));
  report(`refresh, ${width} in flight`, n, from);
  await store.close();
  report(`refresh, ${width} in flight, with the checkpoint at close`, n, from);
  store = await open();
}
console.log(`memory: ${megabytes(process.memoryUsage().rss - before)} more than before`);
from = at();
const due = await store.due(users, start + 3_600_000 + total, 1000);
console.log(`first ${due.length} due: ${(at().wall - from.wall).toFixed(0)} ms`);
await store.close();
clock.close();
