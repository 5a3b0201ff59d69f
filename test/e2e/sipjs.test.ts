import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, normalize } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBrowser, type Browser } from '../tools/browser.js';
import { missing } from '../tools/install.js';
import { startParley, type RunningParley } from '../tools/parley.js';

const lacking = missing('chromium');
const INSTANCE = '0f8fad5b-d9cb-469f-a165-70867728950e';
const library = join(import.meta.dirname, '../../node_modules/sip.js/lib');

const fixtures = join(import.meta.dirname, '../fixtures/browser');

/** A site with one page, its script, and SIP.js as it is published. */
async function serveSite(): Promise<Server> {
  const server = createServer((request, response) => {
    const path = normalize(request.url ?? '/');
    if (path === '/') {
      response
        .writeHead(200, { 'content-type': 'text/html' })
        .end('<!doctype html><title>softphone</title><script type="module" src="/softphone.js"></script>');
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
    await page.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/`);
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
});
