import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Baresip } from '../tools/baresip.js';
import { missing } from '../tools/install.js';
import { startParley, type RunningParley } from '../tools/parley.js';

const lacking = missing('baresip');
const DESK = '0f8fad5b-d9cb-469f-a165-70867728950e';
const LAPTOP = '7c9e6679-7425-40de-944b-e07fc1f90ae7';
const CALLER = '16fd2706-8baf-433b-82eb-8c7fada847da';

interface Binding {
  readonly instance: string;
  readonly publicGruu: string;
}

describe.skipIf(lacking)(`baresip ${lacking ?? ''}`, () => {
  let parley: RunningParley;
  const started: Baresip[] = [];
  const start = async (user: string, uuid: string): Promise<Baresip> => {
    const registered = new Promise<void>((resolve) => {
      const end = parley.app.registrar!.onChange(({ changes }) => {
        if (!changes.some(({ binding }) => binding.instance === `urn:uuid:${uuid}`)) return;
        end();
        resolve();
      });
    });
    const baresip = await Baresip.start(user, parley.port, uuid);
    started.push(baresip);
    await registered;
    return baresip;
  };
  beforeAll(async () => {
    parley = await startParley({
      digest: { algorithms: ['MD5'] },
      subscribers: ['alice', 'bob'].map((name) => ({
        privateId: `${name}@ims.test`,
        password: `${name}-secret`,
        identities: [`sip:${name}@ims.test`],
      })),
    });
  });
  afterAll(async () => {
    for (const baresip of started) await baresip.close();
    await parley.stop();
  });

  it('registers with its +sip.instance and password, and calls one of two devices by its GRUU', async () => {
    const [desk, laptop] = [await start('alice', DESK), await start('alice', LAPTOP)];
    const bob = await start('bob', CALLER);
    const stored = (await (await fetch(`${parley.api}/api/v1/registrations/sip:alice@ims.test`)).json()) as {
      bindings: Binding[];
    };
    expect(stored.bindings.map(({ instance }) => instance).sort()).toEqual([
      `urn:uuid:${DESK}`,
      `urn:uuid:${LAPTOP}`,
    ]);
    const { publicGruu } = stored.bindings.find(({ instance }) => instance === `urn:uuid:${LAPTOP}`)!;

    bob.command('dial', publicGruu);
    await Promise.all([bob.event('CALL_ESTABLISHED'), laptop.event('CALL_ESTABLISHED')]);
    expect(desk.has('CALL_INCOMING')).toBe(false);
    bob.command('hangup');
    expect((await laptop.event('CALL_CLOSED')).type).toBe('CALL_CLOSED');
    const codes = parley.app.trail.recent().map(({ code }) => code);
    expect(codes).toContain('core.routed-to-gruu');
    expect(codes).not.toContain('core.routed-to-aor');
  });
});
