import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MsrpNegotiation, wholeMessages } from '../../src/msrp/session/index.js';
import { lineOffer } from '../msrp/tools/line.js';
import { RelayClient } from '../msrp/tools/relay.js';
import { openBrowser } from '../tools/browser.js';
import { useCleanups } from '../tools/cleanups.js';
import { startParley } from '../tools/parley.js';

const certs = join(import.meta.dirname, '../sip/transport/certs');
const tls = { cert: join(certs, 'server.pem'), key: join(certs, 'server.key') };
const alice = { privateId: 'alice@ims.test', password: 'alice-secret', identities: ['sip:alice@ims.test'] };
const cleanups = useCleanups();

describe('the MSRP listeners of the configuration', () => {
  it('serve a browser over WebSocket and clients of the relay over TLS', async () => {
    const parley = await startParley({
      sip: { tls, overloadDelay: 60_000 },
      subscribers: [alice],
      msrp: {
        listen: '127.0.0.1:0',
        alsoListen: ['tls:127.0.0.1:0', 'ws:127.0.0.1:0', 'wss:127.0.0.1:0'],
        relay: { enabled: true, host: 'localhost' },
      },
    });
    cleanups.push(() => parley.stop());
    const { msrp, trail } = parley.app;
    const port = (transport: string, secure: boolean): number =>
      msrp.listeners.find(({ kind }) => kind.transport === transport && kind.secure === secure)!.port;

    const client = new RelayClient(port('tcp', true), 'alice');
    const uri = await client.usePath('msrps://alice@ims.test;tcp');
    expect(uri).toMatch(new RegExp(`^msrps://localhost:${port('tcp', true)}/[\\w-]{22};tcp$`));

    const heard: string[] = [];
    const session = msrp.createSession(
      {
        receiver: wholeMessages(1000, ({ octets }) => {
          heard.push(octets.toString());
          return 200;
        }),
      },
      { transport: 'ws', secure: false },
    );
    const browserPath = 'msrp://browser.invalid:9/page;ws';
    new MsrpNegotiation(session, { acceptTypes: ['*'] }).answer(lineOffer(browserPath));
    // what the page was sent and says itself, in the order of its frames
    const browser = await openBrowser();
    cleanups.push(() => browser.close());
    const answer = session.send({ contentType: 'text/plain', content: Buffer.from('from the server') });
    const received = await browser.page.evaluate(
      async ({ url, to, from }) => {
        const socket = new WebSocket(url, 'msrp');
        socket.binaryType = 'arraybuffer';
        const frames: string[] = [];
        const paths = `To-Path: ${to}\r\nFrom-Path: ${from}\r\n`;
        await new Promise<void>((resolve, reject) => {
          socket.onerror = () => reject(new Error('no WebSocket'));
          socket.onopen = () =>
            socket.send(
              `MSRP page0001 SEND\r\n${paths}Message-ID: p1\r\nContent-Type: text/plain\r\n\r\nfrom the page\r\n-------page0001$\r\n`,
            );
          socket.onmessage = ({ data }) => {
            const text = new TextDecoder().decode(data as ArrayBuffer);
            frames.push(text);
            const id = /^MSRP (\S+) SEND/.exec(text)?.[1];
            if (id !== undefined) socket.send(`MSRP ${id} 200 OK\r\n${paths}-------${id}$\r\n`);
            if (frames.length === 2) resolve();
          };
        });
        return frames.sort();
      },
      { url: `ws://127.0.0.1:${port('ws', false)}/`, to: session.uri.text, from: browserPath },
    );
    expect(await answer.sent).toBe(200);
    expect(heard).toEqual(['from the page']);
    expect(received.find((text) => text.startsWith('MSRP page0001 200'))).toBeDefined();
    expect(received.find((text) => text.includes('\r\n\r\nfrom the server\r\n'))).toBeDefined();

    const metrics = await (await fetch(`${parley.api}/metrics`)).text();
    expect(metrics).toMatch(/^parley_msrp_relay_uris 1$/m);
    expect(metrics).toMatch(/^parley_msrp_sessions 1$/m);
    expect(metrics).toMatch(/^parley_msrp_connections 2$/m);
    expect(trail.recent({ code: 'msrp.relay-authorized' })).toHaveLength(1);
  });

  it('are refused with a relay when none of them has TLS', async () => {
    await expect(startParley({ msrp: { listen: '127.0.0.1:0', relay: { enabled: true } } })).rejects.toThrow(
      'msrp.relay needs a listener with TLS',
    );
  });
});
