// npx tsc -p bench/micro && node dist/micro/bench/micro/burial.js redis://127.0.0.1:6379 1000000 20000
import { SystemClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { removeBindings } from '../../src/registrar/apply.js';
import { ConnectionFlows } from '../../src/registrar/connection-flows.js';
import { registrations, type Registration } from '../../src/registrar/registration.js';
import { openStore } from '../../src/store/open.js';

const [url = 'redis://127.0.0.1:6379', all = '1000000', connections = '20000'] = process.argv.slice(2);
const clock = new SystemClock((error) => {
  throw error;
});
const store = await openStore(url, { clock, log: silentLogger });
const setOf = (i: number): string => `sip:user${String(i).padStart(7, '0')}@ims.test`;
const deadline = Date.now() + 3_600_000;

/** One device with GRUU, over a connection of `node`. */
function registration(i: number, node: string): Registration {
  const aor = setOf(i);
  const instanceKey = `urn:uuid:${String(i).padStart(8, '0')}-7dec-11d0-a765-00a0c91e6bf6`;
  const registeredAt = Date.now();
  const binding = {
    id: String(i),
    aor,
    contact: `sip:user@192.0.2.1:5060;transport=tcp;ob`,
    params: `;+sip.instance="<${instanceKey}>";reg-id=1`,
    instance: instanceKey,
    instanceKey,
    regId: 1,
    q: 1000,
    callId: `1-${i}@192.0.2.1`,
    cseq: 1,
    path: [],
    flow: `tcp|${node}|${i.toString(36)}`,
    flowOnly: true,
    privateId: aor.slice(4),
    userAgent: 'SIPp/3.6',
    registeredAt,
    refreshedAt: registeredAt,
    expiresAt: deadline,
  };
  const instance = { aor, instanceKey, gr: instanceKey, index: i, generation: 1, firstCSeq: 1 };
  return { bindings: [binding], instances: [{ ...instance, callIds: [{ regId: 1, callId: '1' }] }] };
}

/** Does `n` things, 500 of them at once. */
async function many(n: number, one: (i: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < n) await one(next++);
  };
  await Promise.all(Array.from({ length: 500 }, lane));
}

async function timed(what: string, work: () => Promise<unknown>): Promise<void> {
  const { user, system } = process.cpuUsage();
  const begun = performance.now();
  await work();
  const wall = (performance.now() - begun) / 1000;
  const cpu = process.cpuUsage();
  const seconds = (cpu.user + cpu.system - user - system) / 1e6;
  console.log(`${what.padEnd(56)} ${wall.toFixed(3).padStart(9)} s ${seconds.toFixed(3).padStart(9)} s CPU`);
}

const flowsOf = (node: string): ConnectionFlows =>
  new ConnectionFlows({
    store,
    node,
    removeLost: (set, chosen) =>
      store.update(registrations, set, (current) => {
        if (!current) return { kind: 'keep', result: undefined };
        const { registration: left } = removeBindings(current, current.bindings.filter(chosen), 'expired');
        return { kind: 'put', value: left, deadline: undefined, result: undefined };
      }),
  });

const dead = Number(connections);
await timed(`put ${all} registrations`, () =>
  many(Number(all), (i) =>
    store.update(registrations, setOf(i), () => ({
      kind: 'put',
      value: registration(i, i < dead ? 'dead' : 'alive'),
      deadline,
      result: undefined,
    })),
  ),
);
const doomed = flowsOf('dead');
await timed(`tell ${connections} connections of one node`, () =>
  many(dead, async (i) => doomed.add(`tcp|dead|${i.toString(36)}`, setOf(i))),
);
await timed('read every registration', async () => {
  let read = 0;
  for await (const { value } of store.scan(registrations)) read += value.bindings.length;
  if (read !== Number(all)) throw new Error(`${read} bindings in place of ${all}`);
});
const survivor = flowsOf('alive');
await timed('bury a node without connections', () => survivor.nodeGone('nobody', async () => false));
await timed(`bury the node with ${connections}`, () => survivor.nodeGone('dead', async () => false));
await store.close();
clock.close();
