import { expect, it } from 'vitest';
import { cpmServices } from '../../../src/identity/cpm-services.js';
import { useCleanups } from '../../tools/cleanups.js';
import { startParley } from '../../tools/parley.js';
import { soon } from '../../tools/soon.js';
import { ALICE, BOB, BOB2 } from '../participating/session-world.js';
import { cpim, MessagingDevice, textIn } from './large-world.js';

const services = [cpmServices.message];
const cleanups = useCleanups();

it.each([true, false])(
  'each device of a user gets each message once where that is wanted, GRUUs %s',
  { timeout: 60_000 },
  async (gruu) => {
    const sip = { overloadDelay: 60_000, timers: { t1: 2_000, t2: 4_000 } };
    const cpm = { deferral: { oncePer: 'device' } };
    const parley = await startParley({ auth: 'none', sip, cpm, registrar: { gruu } });
    cleanups.push(() => parley.stop());
    const open = (user: string, instance: string): Promise<MessagingDevice> =>
      MessagingDevice.open(user, parley.port, { instance, services });
    const alice = await open('alice', ALICE);
    const [phone, tablet] = [await open('bob', BOB), await open('bob', BOB2)];
    await phone.register();
    for (const text of ['one', 'two'])
      expect((await alice.page(phone.aor, cpim(text, text))).status).toBe(202);
    await soon(() => phone.got.map(textIn)).toEqual(['one', 'two']);
    await tablet.register();
    await soon(() => tablet.got.map(textIn)).toEqual(['one', 'two']);
    await phone.register();
    expect((await alice.page(phone.aor, cpim('three', 'three'))).status).toBe(202);
    for (const device of [phone, tablet])
      await soon(() => device.got.map(textIn)).toEqual(['one', 'two', 'three']);
  },
);
