import { expect, it } from 'vitest';
import { Smsc } from '../imps/tools/smsc.js';
import { useCleanups } from '../tools/cleanups.js';
import { startParley } from '../tools/parley.js';

const cleanups = useCleanups();

it('shows CIR channels and the state of the SMSC connection in the API and the metrics', async () => {
  const smsc = await Smsc.start();
  cleanups.push(() => smsc.close());
  smsc.bindStatus = 0x0e;
  const smpp = { host: '127.0.0.1', port: smsc.port, systemId: 'parley', password: 'key', address: '7700' };
  const parley = await startParley({
    sip: { overloadDelay: 60_000 },
    imps: { listen: '127.0.0.1:0', cirListen: '127.0.0.1:0', smpp },
  });
  cleanups.push(() => parley.stop());
  await smsc.untilBound();
  const state = async (): Promise<unknown> => (await fetch(`${parley.api}/api/v1/imps`)).json();
  const address = `127.0.0.1:${smsc.port}`;
  expect(await state()).toMatchObject({
    cir: { tcp: 0, udp: 0 },
    smsc: { address, bound: false, queued: 0, inFlight: 0 },
  });
  smsc.bindStatus = 0;
  await smsc.untilBound(2);
  await expect.poll(state, { timeout: 20_000 }).toMatchObject({ smsc: { bound: true } });
  const metrics = await (await fetch(`${parley.api}/metrics`)).text();
  expect(metrics).toMatch(/^parley_imps_smsc_bound 1$/m);
  expect(metrics).toMatch(/^parley_imps_cir_tcp 0$/m);
  expect(JSON.stringify(await state())).not.toContain('key');
});
