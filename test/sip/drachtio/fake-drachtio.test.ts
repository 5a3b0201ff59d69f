import { once } from 'node:events';
import Srf from 'drachtio-srf';
import { describe, expect, it } from 'vitest';
import { FakeDrachtio } from '../../tools/fake-drachtio.js';
import { afterThisTest } from '../embedded/nodes.js';

describe('the fake drachtio-server', () => {
  it('is taken for a real one by an unmodified drachtio-srf application', async () => {
    const fake = await FakeDrachtio.start();
    afterThisTest(() => fake.stop());
    const srf = new Srf();
    afterThisTest(() => srf.disconnect());
    srf.use('options', (_request: unknown, response: { send(status: number): void }) => response.send(486));
    void srf.connect({ host: '127.0.0.1', port: fake.port, secret: 'cymru' });
    const [error, listeners] = (await once(srf, 'connect')) as [Error | null, string];
    expect([error, listeners]).toEqual([null, 'udp/127.0.0.1:5060']);
    while (!fake.commands.some(([, command]) => command === 'route'))
      await new Promise((resolve) => setTimeout(resolve, 10));
    fake.request(
      't1',
      `OPTIONS sip:ims.test SIP/2.0
      Via: SIP/2.0/UDP 127.0.0.1:5999;branch=z9hG4bKsrf
      From: <sip:a@ims.test>;tag=a
      To: <sip:ims.test>
      Call-ID: srf
      CSeq: 1 OPTIONS
      Content-Length: 0`,
    );
    while (!fake.commands.some(([, command]) => command === 'sip'))
      await new Promise((resolve) => setTimeout(resolve, 10));
    expect(fake.commands.find(([, command]) => command === 'sip')?.slice(1, 3)).toEqual(['sip', 't1']);
  });
});
