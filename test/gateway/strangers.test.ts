import { afterEach, describe, expect, it } from 'vitest';
import { codeOf } from '../imps/tools/phone.js';
import { GatewayWorld } from './world.js';

let world: GatewayWorld;
afterEach(() => world.close());

const dave = {
  privateId: 'dave@ims.test',
  password: 'dave-secret',
  identities: ['sip:dave@ims.test', 'tel:+15550100004'],
};

describe('a stranger who registers himself', () => {
  it.each(['wv:dave@ims.test', 'wv:+15550100004@ims.test'])(
    'does not become a device of the SIP user whose address %s is',
    async (user) => {
      world = await GatewayWorld.start({
        auth: 'digest',
        subscribers: [dave],
        imps: { autoRegistration: { policy: 'open' } },
      });
      const stranger = world.imps('nobody', { user, password: 'my-own' });
      expect(codeOf(await stranger.login2())).toBe(531);
      expect(await world.registrations('dave')).toEqual([]);
      // an address that is nobody's is to be had
      const other = world.imps('nobody', { user: 'wv:erin@ims.test', password: 'my-own' });
      expect(codeOf(await other.login2())).toBe(200);
    },
  );

  it('is let in with the number that the network asserts', async () => {
    world = await GatewayWorld.start({
      auth: 'digest',
      subscribers: [dave],
      imps: { autoRegistration: { policy: 'open' }, trustedProxies: ['127.0.0.1'] },
    });
    const phone = world.imps('dave', { password: 'my-own', headers: { 'X-Network-MSISDN': '15550100004' } });
    expect(codeOf(await phone.login2())).toBe(200);
    await world.settled();
    expect(await world.registrations('dave')).toHaveLength(1);
  });
});
