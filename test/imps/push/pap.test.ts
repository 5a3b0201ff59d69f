import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../../src/base/log.js';
import { MemoryTrail } from '../../../src/base/trail.js';
import { element } from '../../../src/imps/codec/element.js';
import { PapPager } from '../../../src/imps/push/pap.js';
import { missing } from '../../tools/install.js';
import { startKannel, type Kannel } from '../tools/kannel.js';
import { message } from '../tools/phone.js';
import { Smsc } from '../tools/smsc.js';
import { userId, world, type World } from '../tools/world.js';

const NUMBER = '+46701234567';
const CONTENT_TYPE = 'application/vnd.wv.csp.cir';

describe('WAP push by PAP', () => {
  let proxy: Server | undefined;
  afterEach(() => proxy?.close());

  /** A push proxy that answers everything the same. @returns its pager and what it was sent */
  async function answering(status: number, answer: string, more: { user?: string; password?: string } = {}) {
    const requests: { headers: NodeJS.Dict<string | string[]>; body: string }[] = [];
    proxy = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        requests.push({ headers: request.headers, body });
        response.writeHead(status, { 'Content-Type': 'application/xml' }).end(answer);
      });
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const { port } = proxy.address() as AddressInfo;
    const config = { url: `http://127.0.0.1:${port}/pap`, domain: 'ppg.test', ...more };
    const trail = new MemoryTrail(() => 0);
    return { pager: new PapPager(config, { log: silentLogger, trail }), requests, trail };
  }
  const result = (code: string): string =>
    `<?xml version="1.0"?><pap><push-response push-id="1"><response-result code="${code}"/></push-response></pap>`;

  it('submits one CIR as multipart/related, the control entity before the content', async () => {
    const { pager, requests } = await answering(202, result('1001'), { user: 'parley', password: 'pw' });
    expect(await pager.page('WAPSMS', { msisdn: NUMBER }, 'WVCI 1.3 c')).toBe(true);
    const [{ headers, body }] = requests as [(typeof requests)[0]];
    const boundary = /^multipart\/related; boundary=(\S+); type="application\/xml"$/.exec(
      String(headers['content-type']),
    )?.[1];
    const [, control, content, end] = body.split(`--${boundary}`);
    expect(control).toContain('address-value="WAPPUSH=+46701234567/TYPE=PLMN@ppg.test"');
    expect(content).toBe(
      `\r\nContent-Type: ${CONTENT_TYPE}\r\nX-Wap-Application-Id: x-wap-application:wv.ua\r\n\r\nWVCI 1.3 c\r\n`,
    );
    expect(end).toBe('--\r\n');
    expect(headers.authorization).toBe(`Basic ${Buffer.from('parley:pw').toString('base64')}`);
  });

  it('names a client by its address where the bearer is UDP', async () => {
    const { pager, requests } = await answering(200, result('1000'));
    expect(await pager.page('WAPUDP', { ip: '192.0.2.1' }, 'x')).toBe(true);
    expect(await pager.page('WAPUDP', { ip: '2001:db8::1' }, 'x')).toBe(true);
    expect(requests.map(({ body }) => /address-value="([^"]+)"/.exec(body)?.[1])).toEqual([
      'WAPPUSH=192.0.2.1/TYPE=IPv4@ppg.test',
      'WAPPUSH=2001:db8::1/TYPE=IPv6@ppg.test',
    ]);
  });

  it.each([
    [200, result('2002')],
    [500, ''],
    [200, '<!DOCTYPE x [<!ENTITY a "b">]><pap><badmessage-response code="2000"/></pap>'],
    [200, '<pap'],
  ])('is not taken for sent when the proxy answers %i %s', async (status, answer) => {
    const { pager, trail } = await answering(status, answer);
    expect(await pager.page('WAPSMS', { msisdn: NUMBER }, 'x')).toBe(false);
    expect(trail.counts().get('imps.push-refused')).toBe(1);
  });

  it('sends nothing to what is no number or address', async () => {
    const { pager, requests } = await answering(200, result('1000'));
    expect(await pager.page('WAPSMS', { msisdn: '"/><x' }, 'x')).toBe(false);
    expect(await pager.page('WAPSMS', {}, 'x')).toBe(false);
    expect(await pager.page('WAPUDP', { ip: '"/>' }, 'x')).toBe(false);
    expect(requests).toEqual([]);
  });
});

describe.skipIf(missing('bearerbox'))("WAP push through Kannel's push proxy", () => {
  let smsc: Smsc;
  let kannel: Kannel;
  let here: World;
  afterEach(async () => {
    await here.close();
    await kannel.stop();
    await smsc.close();
  });

  it('brings CIR, and WVON after logout, to the telephone as a connectionless push', async () => {
    smsc = await Smsc.start();
    kannel = await startKannel(smsc.port);
    await smsc.untilBound();
    here = await world({ pushProxy: { url: kannel.pushUrl } });
    const alice = await here
      .phone('alice', { msisdn: NUMBER })
      .start(element('SupportedCIRMethod', 'WAPSMS'), element('SupportedOfflineBearer', 'WAPSMS'));
    const bob = await here.phone('bob').start();
    await bob.request(message('x', [userId('alice')]));
    expect(pushed(0, await smsc.until(1))).toEqual({ to: NUMBER.slice(1), text: 'WVCI 1.3 cookie-1' });
    await alice.drain();
    await alice.request(element('Logout-Request'));
    await bob.request(message('y', [userId('alice')]));
    expect(pushed(1, await smsc.until(2))).toEqual({
      to: NUMBER.slice(1),
      text: 'WVON 1.3 Offline-Message-Notification',
    });
  }, 30_000);

  /**
   * What a telephone reads in the short message: push port, push PDU, content type and application of IMPS. Kannel
   * has no number for the content type and writes its name.
   */
  function pushed(index: number, all: Awaited<ReturnType<Smsc['until']>>): { to: string; text: string } {
    const { to, data } = all[index]!;
    expect(data.ports?.to).toBe(2948);
    const octets = Buffer.from(data.octets);
    expect(octets[1]).toBe(0x06);
    const headers = octets.subarray(3, 3 + octets[2]!).toString('latin1');
    expect(headers.startsWith(`${CONTENT_TYPE}\0`)).toBe(true);
    expect(headers).toMatch(/\xaf(?:\x8a|x-wap-application:wv\.ua\0)/);
    return { to, text: octets.subarray(3 + octets[2]!).toString('latin1') };
  }
});
