import { expect, it } from 'vitest';
import { useCleanups } from '../tools/cleanups.js';
import { startParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';

const cleanups = useCleanups();

/** The status of a REGISTER for each value of P-Visited-Network-ID, sent by a node at a trusted address or not. */
async function statuses(trusted: boolean, networks: readonly string[], contact = ''): Promise<number[]> {
  const parley = await startParley({
    auth: 'none',
    registrar: { visitedNetworks: ['Visited.Test', 'other network'] },
    sip: { trusted: trusted ? ['127.0.0.1'] : [], overloadDelay: 60_000 },
  });
  cleanups.push(() => parley.stop());
  const alice = await Phone.open('alice', parley.port);
  cleanups.push(() => alice.close());
  const found: number[] = [];
  for (const network of networks) {
    const response = await alice.ask('REGISTER', 'sip:ims.test', {
      To: `<${alice.aor}>`,
      Contact: `<sip:alice@127.0.0.1:${alice.peer.port}${contact}>`,
      'P-Visited-Network-ID': network,
    });
    found.push(response.status);
  }
  return found;
}

it('users register from the networks that the operator names, and from home', async () => {
  const networks = ['visited.test', '"visited.test"', 'IMS.test;x=y', '"other network", visited.test'];
  expect(await statuses(true, networks)).toEqual([200, 200, 200, 200]);
});

it('a network that the operator does not name gets 403', async () => {
  const networks = ['third.test', '"visited.test, third.test"', 'visited.test, third.test', '"visited.test'];
  expect(await statuses(true, networks)).toEqual([403, 403, 403, 403]);
});

it('an emergency registration is taken from everywhere', async () => {
  expect(await statuses(true, ['third.test'], ';sos')).toEqual([200]);
});

it('what a device says itself of its network counts for nothing', async () => {
  expect(await statuses(false, ['third.test'])).toEqual([200]);
});
