import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { Line } from '../tools/line.js';
import { RelayClient, startRelay } from '../tools/relay.js';

const there = 'msrps://127.0.0.1:2855;tcp';

describe('a relay', () => {
  it('challenges AUTH with Digest and qop auth, and gives who answers a URI for a time', async () => {
    const { securePort, relay, trail } = await startRelay();
    const client = new RelayClient(securePort, 'alice');
    const challenge = await client.auth(there);
    expect(challenge).toMatch(
      /^MSRP \S+ 401 Unauthorized\r\nTo-Path: msrps:\/\/alice\.invalid:9\/alice1;tcp\r\nFrom-Path: msrps:\/\/127\.0\.0\.1:2855;tcp\r\nWWW-Authenticate: Digest realm="ims\.test", nonce="[^"]+", algorithm=MD5, qop="auth"\r\n-------/,
    );
    const answer = await client.auth(there);
    expect(answer).toContain(' 200 OK\r\n');
    expect(answer).toContain('\r\nExpires: 900\r\n');
    expect(answer).toMatch(
      /\r\nAuthentication-Info: nextnonce="[^"]+", qop=auth, rspauth="[0-9a-f]{32}", cnonce="[^"]+", nc=00000001\r\n/,
    );
    expect(answer).toMatch(
      new RegExp(`\\r\\nUse-Path: msrps://127\\.0\\.0\\.1:${securePort}/[\\w-]{22};tcp\\r\\n`),
    );
    expect(relay.figures.uris).toBe(1);
    expect(trail.recent({ code: 'msrp.relay-authorized' })[0]).toMatchObject({ subject: 'alice@ims.test' });
    // the nonce that came with the answer serves the next one
    expect(await client.auth(there)).toContain(' 200 OK\r\n');
  });

  it('gives a time that the client may ask for within bounds, else 423 with the bound', async () => {
    const { securePort } = await startRelay();
    const client = new RelayClient(securePort, 'alice');
    await client.auth(there);
    expect(await client.auth(there, ['Expires: 120'])).toContain('\r\nExpires: 120\r\n');
    expect(await client.auth(there, ['Expires: 59'])).toMatch(/ 423 [^]*\r\nMin-Expires: 60\r\n/);
    expect(await client.auth(there, ['Expires: 3601'])).toMatch(/ 423 [^]*\r\nMax-Expires: 3600\r\n/);
    expect(await client.auth(there, ['Expires: soon'])).toContain(' 400 ');
  });

  it('closes the connection of who guesses passwords', async () => {
    const { securePort, relay } = await startRelay();
    const client = new RelayClient(securePort, 'alice', 'wrong');
    for (let i = 0; i < 6; i++) expect(await client.auth(there)).toContain(' 401 ');
    await client.closed();
    expect(relay.figures).toMatchObject({ uris: 0, refused: 5 });
  });

  it('does not know strangers, nor credentials that are none', async () => {
    const { securePort } = await startRelay();
    const stranger = new RelayClient(securePort, 'mallory');
    await stranger.auth(there);
    expect(await stranger.auth(there)).toContain(' 401 ');
    const line = new RelayClient(securePort, 'alice');
    const id = line.request('AUTH', there, ['Authorization: Digest username="alice']);
    expect(await line.answerOf(id)).toBe(400);
    const basic = line.request('AUTH', there, ['Authorization: Basic YWxpY2U6YWxpY2Utc2VjcmV0']);
    expect(await line.answerOf(basic)).toBe(401);
  });

  it('takes AUTH over TLS alone, unless it is told otherwise', async () => {
    const strict = await startRelay();
    const path = `msrp://127.0.0.1:${strict.port};tcp`;
    expect(await new RelayClient(strict.port, 'alice', undefined, false).auth(path)).toContain(' 403 ');
    const open = await startRelay({}, { plain: true, place: {} });
    const client = new RelayClient(open.port, 'alice', undefined, false);
    expect(await client.usePath(`msrp://127.0.0.1:${open.port};tcp`)).toMatch(/^msrp:/);
  });

  it('is no other host', async () => {
    const { securePort } = await startRelay({}, { host: 'relay.ims.test', names: ['ims.test'] });
    const client = new RelayClient(securePort, 'alice');
    expect(await client.auth('msrps://elsewhere.example:2855;tcp')).toContain(' 481 ');
    expect(await client.usePath('msrps://alice@IMS.test;tcp')).toMatch(/^msrps:\/\/relay\.ims\.test:/);
  });

  it('gives a user so many URIs, and takes them back with the connection', async () => {
    const { securePort, relay } = await startRelay({}, { limits: { urisPerUser: 2 } });
    const client = new RelayClient(securePort, 'alice');
    const [one, other] = [await client.usePath(there), await client.usePath(there)];
    expect(one).not.toBe(other);
    expect(await client.auth(there)).toContain(' 403 ');
    client.socket.destroy();
    const next = new RelayClient(securePort, 'alice');
    await next.auth(there);
    await expect.poll(() => relay.figures.uris).toBe(0);
    expect(await next.auth(there)).toContain(' 200 ');
  });

  it('passes nothing on for a URI that is over or was never given', async () => {
    const clock = new VirtualClock();
    const { securePort, port, trail } = await startRelay({ clock });
    const client = new RelayClient(securePort, 'alice');
    const uri = await client.usePath(there, ['Expires: 60']);
    const peer = new Line(port);
    const toClient = (path: string): string =>
      peer.request('SEND', `${path} ${client.path}`, ['Message-ID: m', 'Content-Type: a/b'], 'x');
    expect(await peer.answerOf(toClient(uri))).toBe(200);
    await client.see(/Message-ID: m\r\n/);
    clock.advance(60_000);
    expect(await peer.answerOf(toClient(uri))).toBe(481);
    expect(await peer.answerOf(toClient('msrps://127.0.0.1:1/AAAAAAAAAAAAAAAAAAAAAA;tcp'))).toBe(481);
    expect(await peer.answerOf(peer.request('SEND', uri, ['Message-ID: m'], undefined))).toBe(481);
    expect(trail.recent({ code: 'msrp.relay-uri-ended' })[0]).toMatchObject({ detail: 'expired' });
    expect(trail.recent({}).some((event) => JSON.stringify(event).includes(uri.slice(-20, -4)))).toBe(false);
  });
});
