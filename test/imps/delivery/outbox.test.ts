import { expect, it } from 'vitest';

import { useCleanups } from '../../tools/cleanups.js';
import { userId, world } from '../tools/world.js';

const cleanups = useCleanups();

it('of requests that a client does not answer the oldest give way to the newest, and the trail says so', async () => {
  const here = await world({ limits: { serverRequests: 2 } });
  cleanups.push(() => here.close());
  const alice = await here.phone('alice').start();
  for (const text of ['one', 'two', 'three'])
    await here.server.sendSystemMessage(userId('alice'), { text, options: [], requiresResponse: false });
  const seen = (await alice.drain()).filter(({ name }) => name === 'SystemMessage-Request');
  expect(seen.map((one) => JSON.stringify(one).match(/one|two|three/)?.[0])).toEqual(['two', 'three']);
  expect(here.trail.recent().filter(({ code }) => code === 'imps.request-dropped')).toHaveLength(1);
});
