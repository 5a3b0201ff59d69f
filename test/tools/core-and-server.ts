import { expect } from 'vitest';
import { startParley, type RunningParley } from './parley.js';

/** Not the address of phones, which the core must not trust. */
const SERVER = '127.0.0.2';

/** Two Parleys: one with the role core alone, and one that stands behind it as its application server. */
export interface CoreAndServer {
  readonly core: RunningParley;
  readonly server: RunningParley;
  stop(): Promise<void>;
}

/** @param settings of the application server. */
export async function startCoreAndServer(settings: Record<string, unknown> = {}): Promise<CoreAndServer> {
  // a busy machine must make the servers neither refuse work nor send it twice
  const sip = { overloadDelay: 60_000, timers: { t1: 10_000, t2: 10_000 } };
  const isc = { patience: 60_000 };
  const core = await startParley({
    auth: 'none',
    roles: ['core'],
    isc,
    sip: { ...sip, trusted: [SERVER] },
  });
  try {
    const server = await startParley({
      roles: ['participating', 'controlling'],
      foreignCore: { uri: `sip:127.0.0.1:${core.port}` },
      ...settings,
      sip: { ...sip, listen: [`udp:${SERVER}:0`, `tcp:${SERVER}:0`] },
    });
    await giveCriteria(core, `sip:${SERVER}:${server.port}`);
    return {
      core,
      server,
      async stop() {
        await server.stop();
        await core.stop();
      },
    };
  } catch (error) {
    await core.stop();
    throw error;
  }
}

/** The criteria of a lab: registrations with their bodies, and CPM in all session cases. */
async function giveCriteria({ api }: RunningParley, server: string): Promise<void> {
  const cases = ['originating', 'terminating-registered', 'terminating-unregistered'];
  const criteria = [
    {
      priority: 1,
      server,
      includeRegisterRequest: true,
      includeRegisterResponse: true,
      trigger: { groups: [[{ method: 'REGISTER' }]] },
    },
    ...cases.map((sessionCase, index) => ({
      priority: 10 + index,
      server,
      trigger: {
        form: 'cnf',
        groups: [
          [{ method: 'INVITE' }, { method: 'MESSAGE' }, { method: 'REFER' }, { method: 'SUBSCRIBE' }],
          [{ header: { name: 'Event', content: '^reg' }, negated: true }],
          [{ sessionCase }],
        ],
      },
    })),
  ];
  const answer = await fetch(`${api}/api/v1/profiles/default`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ criteria }),
  });
  expect(answer.status).toBe(200);
}
