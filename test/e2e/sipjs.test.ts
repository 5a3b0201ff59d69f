import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, normalize } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cpmServices } from '../../src/identity/cpm-services.js';
import { referenceValue } from '../../src/identity/feature-tags.js';
import { MsrpNegotiation, wholeMessages } from '../../src/msrp/session/index.js';
import { ALICE, BOB2, device, SESSION, setPolicy } from '../cpm/participating/session-world.js';
import { anything, eventually, startEndpoint } from '../msrp/tools/endpoints.js';
import { openBrowser, type Browser } from '../tools/browser.js';
import { missing } from '../tools/install.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';

const lacking = missing('chromium');
const INSTANCE = '0f8fad5b-d9cb-469f-a165-70867728950e';
const library = join(import.meta.dirname, '../../node_modules/sip.js/lib');

const fixtures = join(import.meta.dirname, '../fixtures/browser');

/** A site with a page for each script, and SIP.js as it is published. */
async function serveSite(): Promise<Server> {
  const server = createServer((request, response) => {
    const path = normalize(request.url ?? '/');
    if (path === '/softphone' || path === '/messenger') {
      response
        .writeHead(200, { 'content-type': 'text/html' })
        .end(`<!doctype html><title>${path}</title><script type="module" src="${path}.js"></script>`);
      return;
    }
    const file = path.startsWith('/sip.js/')
      ? join(library, path.slice('/sip.js'.length))
      : join(fixtures, path);
    readFile(file).then(
      (text) => response.writeHead(200, { 'content-type': 'text/javascript' }).end(text),
      () => response.writeHead(404).end(),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** What the script of the page leaves there. */
interface Softphone {
  readonly messages: readonly string[];
  register(server: string, instanceId: string): Promise<{ pub: string; temp: string }>;
  registerMessenger(server: string, instanceId: string, contactParams: readonly string[]): Promise<void>;
  /** The session that somebody wants to begin with the messenger. */
  invitation?: {
    accept(): Promise<void>;
    sessionDescriptionHandler: { heard: readonly string[]; say(text: string): void };
  };
}

describe.skipIf(lacking)(`SIP.js in a browser ${lacking ?? ''}`, () => {
  let parley: RunningParley;
  let site: Server;
  let browser: Browser;
  beforeAll(async () => {
    parley = await startParley({
      // SIP.js looks at the last challenge only, and knows nothing but MD5
      digest: { algorithms: ['MD5'] },
      subscribers: ['alice', 'bob'].map((name) => ({
        privateId: `${name}@ims.test`,
        password: `${name}-secret`,
        identities: [`sip:${name}@ims.test`],
      })),
    });
    site = await serveSite();
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser.close();
    site.close();
    await parley.stop();
  });

  it('registers over WebSocket with its Instance ID, gets its GRUUs, and is reached at them', async () => {
    const { page } = browser;
    await page.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/softphone`);
    const server = `${parley.api.replace(/^http/, 'ws')}/sip`;
    const gruus = await page.evaluate(
      ([url, instance]) => (globalThis as unknown as Softphone).register(url, instance),
      [server, INSTANCE] as const,
    );
    expect(gruus.pub).toBe(`sip:alice@ims.test;gr=urn:uuid:${INSTANCE}`);
    expect(gruus.temp).toMatch(/^sip:[^@]+@ims\.test;gr$/);

    const stored = await (await fetch(`${parley.api}/api/v1/registrations/sip:alice@ims.test`)).json();
    expect(stored).toMatchObject({
      bindings: [{ instance: `urn:uuid:${INSTANCE}`, publicGruu: gruus.pub, regId: 1 }],
    });

    for (const [at, gruu] of Object.entries(gruus)) {
      const { status } = await parley.app.stack.request(gruu, {
        method: 'MESSAGE',
        headers: { From: '<sip:bob@ims.test>', 'Content-Type': 'text/plain' },
        body: at,
        route: [`<sip:127.0.0.1:${parley.port};lr>`],
        auth: { username: 'bob', password: 'bob-secret' },
      });
      expect([at, status]).toEqual([at, 200]);
    }
    expect(await page.evaluate(() => (globalThis as unknown as Softphone).messages)).toEqual(['pub', 'temp']);
  });

  it('has MSRP over WebSocket when it rings together with a phone that has TCP, and answers first', async () => {
    const { page } = browser;
    const url = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
    const server = await startParley({
      auth: 'none',
      sip: { overloadDelay: 60_000, timers: { t1: 10_000, t2: 10_000 }, origins: [url] },
      msrp: { listen: '127.0.0.1:0', alsoListen: ['ws:127.0.0.1:0'] },
    });
    try {
      const alice = await Phone.registered('alice', server.port, device(ALICE));
      const phone = await Phone.registered('bob', server.port, device(BOB2));
      await page.goto(`${url}/messenger`);
      await page.evaluate(
        ([at, instance, feature]) =>
          (globalThis as unknown as Softphone).registerMessenger(at, instance, [feature]),
        [
          `${server.api.replace(/^http/, 'ws')}/sip`,
          INSTANCE,
          `+g.3gpp.icsi-ref="${referenceValue([cpmServices.session])}"`,
        ] as const,
      );
      await setPolicy(server, 'sip:bob@ims.test', { mediaPath: true });

      const heard: string[] = [];
      const receiver = wholeMessages(1000, ({ octets }) => {
        heard.push(octets.toString());
        return 200;
      });
      const near = new MsrpNegotiation(
        (await startEndpoint()).endpoint.createSession({ receiver }),
        anything,
      );
      alice.send('INVITE', phone.aor, SESSION, near.offer());
      const invite = await phone.peer.request('INVITE');
      expect(Buffer.from(invite.body).toString()).toMatch(/^a=path:msrp:\/\/\S+;tcp\r$/m);
      phone.peer.answer(invite, 180, {}, 'ringing');
      await page.waitForFunction(() => (globalThis as unknown as Softphone).invitation !== undefined);
      await page.evaluate(() => (globalThis as unknown as Softphone).invitation!.accept());
      const ok = await alice.peer.response(200);
      expect(ok.status).toBe(200);
      near.accept(ok.body);
      expect((await phone.peer.request('CANCEL')).get('Reason')).toContain('Call completed elsewhere');

      const hello = { contentType: 'text/plain', content: Buffer.from('to the page') };
      expect(await near.session.send(hello).sent).toBe(200);
      await page.evaluate(() =>
        (globalThis as unknown as Softphone).invitation!.sessionDescriptionHandler.say('from the page'),
      );
      await eventually(() => heard.length > 0);
      expect(heard).toEqual(['from the page']);
      expect(
        await page.evaluate(
          () => (globalThis as unknown as Softphone).invitation!.sessionDescriptionHandler.heard,
        ),
      ).toEqual(['to the page']);
      for (const one of [alice, phone]) one.close();
    } finally {
      await server.stop();
    }
  });
});
