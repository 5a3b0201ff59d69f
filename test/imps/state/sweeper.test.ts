import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { element } from '../../../src/imps/codec/element.js';
import { mailbox, replies } from '../../../src/imps/state/records.js';
import { message } from '../tools/phone.js';
import { userId, world, type World } from '../tools/world.js';

let here: World;
const failing = { recipient: '' };
beforeEach(async () => {
  here = await world(
    {},
    {
      router: {
        route: async () => ({ kind: 'local' }),
        report: async (recipient) => {
          if (recipient === failing.recipient) throw new Error('nobody to tell');
        },
        mayKnow: async () => false,
        knows: async () => false,
        claims: async () => false,
        blocks: async () => false,
      },
    },
  );
});
afterEach(() => here.close());

describe('what is due', () => {
  it('goes as fast as it comes: thousands of remembered answers in a second', async () => {
    const deadline = here.clock.now() + 1000;
    for (let number = 0; number < 4000; number++)
      await here.store.update(replies, `s\t${number}`, () => ({
        kind: 'put',
        value: { request: 'x', seed: 'y' },
        deadline,
        result: undefined,
      }));
    await here.clock.advanceAsync(3000, 100);
    await expect.poll(() => here.store.size(replies)).toBe(0);
  });

  it('and cannot be served holds up nothing else', async () => {
    failing.recipient = userId('bob');
    const text = { sender: { user: userId('carol') }, contentType: 'text/plain', content: 'x' };
    const more = {
      deliveryReport: true,
      origin: { key: 'k', note: 'n' },
      expiresAt: here.clock.now() + 1000,
    };
    await here.server.deliver(userId('bob'), { ...text, ...more });
    await here.server.deliver(userId('alice'), { ...text, ...more });
    const carol = await here.phone('carol', { timeToLive: 60 }).start();
    await carol.request(message('stays', [userId('alice')]));
    await here.clock.advanceAsync(70_000, 1000);
    // the one whose report fails is still there; the other is gone, and so is the session
    await expect.poll(() => here.store.size(mailbox)).toBe(2);
    await expect.poll(async () => (await carol.request(element('GetList-Request'))).name).toBe('Status');
    expect(here.errors.length).toBeGreaterThan(0);
  });
});
