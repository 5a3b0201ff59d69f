import { expect, it } from 'vitest';
import { MsrpGroupMedia } from '../../../src/cpm/controlling/group-media.js';
import { afterwards, startEndpoint } from '../../msrp/tools/endpoints.js';
import { MsrpClient, sdp } from '../../tools/group-party.js';

it('the session of who speaks before its coming is stored keeps what it says until somebody listens', async () => {
  const { endpoint } = await startEndpoint();
  const media = new MsrpGroupMedia(endpoint, 10_000).offer();
  media.accept(Buffer.from(sdp('bob', 'active')));
  const bob = new MsrpClient('bob', Buffer.from(media.description));
  afterwards(() => bob.close());
  bob.say('say00001', 'sip:bob@ims.test', 'sip:gs-1@ims.test', 'Here I am');
  bob.nickname('nick0001', '"Bobby"');
  bob.say('say00002', 'sip:bob@ims.test', 'sip:gs-1@ims.test', 'And I can talk');
  // what is refused at once shows that all before it has come
  bob.say('say00003', 'sip:bob@ims.test', 'sip:gs-1@ims.test', 'x', {
    fromPath: 'msrp://127.0.0.1:9/mallory;tcp',
  });
  await bob.until(/MSRP say00003 481/);
  expect(bob.text).not.toMatch(/MSRP (?:say0000[12]|nick0001)/);

  const heard: string[] = [];
  media.listen({
    message: ({ octets }) => {
      heard.push(Buffer.from(octets).toString().split('\r\n').at(-1)!);
      return Promise.resolve(200);
    },
    nickname: (name) => Promise.resolve(name === 'Bobby' ? 200 : 424),
    lost: () => undefined,
  });
  for (const id of ['say00001', 'nick0001', 'say00002']) await bob.until(new RegExp(`MSRP ${id} 200`));
  expect(heard).toEqual(['Here I am', 'And I can talk']);
});
