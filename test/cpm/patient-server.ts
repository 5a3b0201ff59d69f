import { startParley, type RunningParley } from '../tools/parley.js';

/** A server, stopped after the test, that a busy machine makes neither refuse work nor send it twice. */
export async function patientServer(
  cleanups: { push(cleanup: () => unknown): unknown },
  settings: Record<string, unknown> = {},
): Promise<RunningParley> {
  const { sip, ...others } = settings;
  const patience = { overloadDelay: 60_000, timers: { t1: 10_000, t2: 10_000 } };
  const parley = await startParley({
    auth: 'none',
    sip: { ...patience, ...(sip as object | undefined) },
    ...others,
  });
  cleanups.push(() => parley.stop());
  return parley;
}
