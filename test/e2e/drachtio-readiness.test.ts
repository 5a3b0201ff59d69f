import { expect, it } from 'vitest';
import { useCleanups } from '../tools/cleanups.js';
import { FakeDrachtio } from '../tools/fake-drachtio.js';
import { startParley } from '../tools/parley.js';

const cleanups = useCleanups();

it('while no drachtio-server is connected /readyz says 503 and why, /healthz 200; both 200 within 5 s of its return', async () => {
  const fake = await FakeDrachtio.start();
  cleanups.push(() => fake.stop());
  const parley = await startParley({ auth: 'none', roles: ['core'], sip: { stack: fake.url } });
  cleanups.push(() => parley.stop());
  const ask = async (path: string): Promise<{ status: number; text: string }> => {
    const answer = await fetch(`${parley.api}${path}`);
    return { status: answer.status, text: await answer.text() };
  };
  expect((await ask('/readyz')).status).toBe(200);
  const { port } = fake;
  await fake.stop();
  await expect.poll(async () => (await ask('/readyz')).status).toBe(503);
  expect((await ask('/readyz')).text).toContain(`drachtio-server 127.0.0.1:${port}`);
  expect((await ask('/healthz')).status).toBe(200);
  const again = await FakeDrachtio.start(port);
  cleanups.push(() => again.stop());
  await expect.poll(async () => (await ask('/readyz')).status).toBe(200);
});
