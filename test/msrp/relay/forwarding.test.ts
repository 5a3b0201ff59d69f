import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import type { RelayOptions } from '../../../src/msrp/relay/index.js';
import { streamedMessages, wholeMessages, type EndpointOptions } from '../../../src/msrp/session/index.js';
import { tls } from '../../sip/transport/bench.js';
import { counting, eventually, meanwhile, octets, startEndpoint } from '../tools/endpoints.js';
import { TcpProxy } from '../../tools/tcp-proxy.js';
import { Line, linePath } from '../tools/line.js';
import { RelayClient, startRelay, type TestRelay } from '../tools/relay.js';

interface Meeting extends TestRelay {
  readonly client: RelayClient;
  readonly uri: string;
  /** A peer that has connected, and the client has heard from it. */
  readonly peer: Line;
  /** Sends from the peer to the client, and back. */
  in(fields: readonly string[], body?: string, flag?: string): string;
  out(fields: readonly string[], body?: string, flag?: string): string;
}

async function meeting(
  options: Partial<EndpointOptions> = {},
  relayOptions: Partial<RelayOptions> = {},
): Promise<Meeting> {
  const started = await startRelay(options, relayOptions);
  const client = new RelayClient(started.securePort, 'alice');
  const uri = await client.usePath('msrps://127.0.0.1:1;tcp');
  const peer = new Line(started.port);
  const hello = peer.request('SEND', `${uri} ${client.path}`, ['Message-ID: hello']);
  expect(await peer.answerOf(hello)).toBe(200);
  const onward = idOf(await client.take(/SEND\r\n[^]*?Message-ID: hello/));
  client.answer(onward, 200, uri, client.path);
  peer.text = '';
  return {
    ...started,
    client,
    uri,
    peer,
    in: (fields, body, flag) => peer.request('SEND', `${uri} ${client.path}`, fields, body, flag),
    out: (fields, body, flag) =>
      client.request('SEND', `${uri} ${linePath}`, fields, body, flag, client.path),
  };
}

const idOf = (message: string): string => /^MSRP (\S+)/.exec(message)![1]!;
const text = ['Message-ID: m1', 'Byte-Range: 1-3/3', 'Content-Type: text/plain'];

describe('a relay passes on', () => {
  it('what comes for its client, with its URI moved from To-Path to From-Path', async () => {
    const { client, uri, peer, ...meet } = await meeting();
    const id = meet.in(['Message-ID: m1', 'X-Field: y', 'Success-Report: yes', 'Content-Type: a/b'], 'abc');
    const message = await client.take(/SEND/);
    expect(message.slice(message.indexOf('\r\n'), message.lastIndexOf('-------'))).toBe(
      `\r\nTo-Path: ${client.path}\r\nFrom-Path: ${uri} ${linePath}\r\nMessage-ID: m1\r\nSuccess-Report: yes\r\nX-Field: y\r\nContent-Type: a/b\r\n\r\nabc\r\n`,
    );
    expect(idOf(message)).not.toBe(id);
    // answered to the previous hop although the client has said nothing yet
    expect(await peer.take(/200/)).toBe(
      `MSRP ${id} 200 OK\r\nTo-Path: ${linePath}\r\nFrom-Path: ${uri}\r\n-------${id}$\r\n`,
    );
  });

  it('what its client sends, over the connection that the peer made', async () => {
    const { client, uri, peer, endpoint, ...meet } = await meeting();
    const before = endpoint.figures.connections;
    const id = meet.out(text, 'abc');
    expect(await peer.take(/SEND/)).toContain(
      `\r\nTo-Path: ${linePath}\r\nFrom-Path: ${uri} ${client.path}\r\nMessage-ID: m1\r\nByte-Range: 1-3/3\r\n`,
    );
    expect(await client.answerOf(id)).toBe(200);
    expect(endpoint.figures.connections).toBe(before);
  });

  it('what its client sends to a peer that waits for connections', async () => {
    const { client, uri, relay } = await meeting();
    const far = await startEndpoint();
    const heard: string[] = [];
    const session = far.endpoint.createSession({
      receiver: wholeMessages(100, ({ octets: all }) => {
        heard.push(all.toString());
        return 200;
      }),
    });
    const to = `${uri} ${session.uri.text}`;
    expect(await client.answerOf(client.say(to, 'hi', ['Success-Report: yes']))).toBe(200);
    const report = await client.take(/REPORT/);
    expect(report).toContain(
      `\r\nTo-Path: ${client.path}\r\nFrom-Path: ${uri} ${session.uri.text}\r\nMessage-ID: m1\r\nByte-Range: 1-2/2\r\n`,
    );
    expect(heard).toEqual(['hi']);
    expect(relay.figures).toMatchObject({ requests: 3, octets: 2, refused: 0, failures: 0 });
  });

  it('reports back along the whole path, and never answers them', async () => {
    const { client, uri, peer } = await meeting();
    const fields = ['Message-ID: m1', 'Byte-Range: 1-3/3', 'X-Field: y', 'Status: 000 200 OK'];
    client.request(
      'REPORT',
      `${uri} ${linePath} msrp://127.0.0.1:8/beyond;tcp`,
      fields,
      undefined,
      '$',
      client.path,
    );
    expect(await peer.take(/REPORT/)).toContain(
      `\r\nTo-Path: ${linePath} msrp://127.0.0.1:8/beyond;tcp\r\nFrom-Path: ${uri} ${client.path}\r\n` +
        'Message-ID: m1\r\nByte-Range: 1-3/3\r\nX-Field: y\r\nStatus: 000 200 OK\r\n-------',
    );
    peer.answer('0000', 200, client.path);
    expect(client.text).toBe('');
  });

  it('other methods with their content, and their answers from beyond', async () => {
    const { client, uri, peer } = await meeting();
    const fields = ['Use-Nickname: "Al"', 'Content-Type: text/plain'];
    const id = client.request('NICKNAME', `${uri} ${linePath}`, fields, 'body', '$', client.path);
    const request = await peer.take(/NICKNAME/);
    expect(request).toContain('\r\nUse-Nickname: "Al"\r\nContent-Type: text/plain\r\n\r\nbody\r\n-------');
    peer.answer(idOf(request), 425, `${uri} ${client.path}`);
    expect(await client.take(/425/)).toBe(
      `MSRP ${id} 425 Nickname Usage Failed\r\nTo-Path: ${client.path}\r\nFrom-Path: ${uri} ${linePath}\r\n-------${id}$\r\n`,
    );
  });

  it('between two clients of its own', async () => {
    const { client, uri, securePort } = await meeting();
    const bob = new RelayClient(securePort, 'bob');
    const uriOfBob = await bob.usePath('msrps://127.0.0.1:1;tcp');
    bob.text = '';
    const id = client.say(`${uri} ${uriOfBob} ${bob.path}`, 'hi');
    expect(await client.answerOf(id)).toBe(200);
    expect(await bob.take(/SEND/)).toContain(
      `\r\nTo-Path: ${bob.path}\r\nFrom-Path: ${uriOfBob} ${uri} ${client.path}\r\n`,
    );
    const fields = ['Message-ID: m1', 'Byte-Range: 1-2/2', 'Status: 000 200 OK'];
    client.text = '';
    bob.request('REPORT', `${uriOfBob} ${uri} ${client.path}`, fields, undefined, '$', bob.path);
    expect(await client.take(/REPORT/)).toContain(
      `\r\nTo-Path: ${client.path}\r\nFrom-Path: ${uri} ${uriOfBob} ${bob.path}\r\n`,
    );
  });

  it('AUTH to a relay beyond, whose URI then follows its own', async () => {
    const { client, uri, trail } = await meeting({ tls: { ...tls } });
    const outer = await startRelay();
    const there = `${uri} msrps://127.0.0.1:${outer.securePort};tcp`;
    client.text = '';
    const challenge = await client.auth(there);
    expect(challenge).toContain(`\r\nFrom-Path: ${uri} msrps://127.0.0.1:${outer.securePort};tcp\r\n`);
    // the password is that of another realm here, and the relay beyond knows it too
    const paths = (await client.usePath(there)).split(' ');
    expect(paths).toHaveLength(2);
    expect(paths[0]).toBe(uri);
    const peer = new Line(outer.port);
    const id = peer.request('SEND', `${paths[1]} ${paths[0]} ${client.path}`, text, 'abc');
    expect(await peer.answerOf(id)).toBe(200);
    expect(await client.take(/SEND\r\nTo-Path: \S+\r\nFrom-Path: \S+ \S+ \S+\r\nMessage-ID: m1/)).toContain(
      `\r\nTo-Path: ${client.path}\r\nFrom-Path: ${paths[0]} ${paths[1]} ${linePath}\r\n`,
    );
    expect(trail.recent({ code: 'msrp.relay-refused' })).toEqual([]);
  });
});

describe('a relay behind which is another', () => {
  const peers = ['127.0.0.1'];

  it('believes the one whose certificate bears its name, and finds it again when their connection has gone', async () => {
    const { client, uri } = await meeting();
    const outer = await startRelay({}, { peers });
    const between = await TcpProxy.start(outer.securePort);
    const there = `${uri} msrps://127.0.0.1:${between.port};tcp`;
    const answer = await client.auth(there);
    expect(answer).toContain(' 200 OK\r\n');
    expect(answer).not.toContain('Authentication-Info');
    const [near, far] = /^Use-Path: (\S+) (\S+)\r$/m.exec(answer)!.slice(1);
    expect(near).toBe(uri);
    const peer = new Line(outer.port);
    const arrives = async (): Promise<void> => {
      client.text = '';
      const id = peer.request('SEND', `${far} ${near} ${client.path}`, text, 'abc');
      expect(await peer.answerOf(id)).toBe(200);
      expect(await client.take(/SEND/)).toContain(`\r\nFrom-Path: ${near} ${far} ${linePath}\r\n`);
    };
    await arrives();
    await between.close();
    await eventually(() => outer.endpoint.pool.size === 1);
    await arrives();
    expect(outer.relay.figures.uris).toBe(1);
  });

  it('asks the clients of one that is not listed for their password', async () => {
    const outer = await startRelay({}, { peers: ['relay.example'] });
    const { client, uri } = await meeting();
    const path = `${uri} msrps://127.0.0.1:${outer.securePort};tcp`;
    // what it has signed for one relay is looked at by the other, whose nonce it was not
    expect(await client.auth(path)).toMatch(/ 401 [^]*, stale=true\r\n/);
    expect(await client.auth(path)).toMatch(/ 200 OK\r\n[^]*\r\nAuthentication-Info: /);
  });

  it('asks who only says that it is one, without its certificate', async () => {
    const outer = await startRelay({}, { peers });
    const line = new RelayClient(outer.securePort, 'alice');
    const path = `msrps://127.0.0.1:7/x;tcp ${line.path}`;
    const to = `msrps://127.0.0.1:${outer.securePort};tcp`;
    expect(await line.answerOf(line.request('AUTH', to, [], undefined, '$', path))).toBe(401);
  });
});

describe('a relay', () => {
  it('passes the octets of a chunk on before the chunk ends', async () => {
    const { client, uri, peer } = await meeting();
    peer.socket.write(
      `MSRP half0001 SEND\r\nTo-Path: ${uri} ${client.path}\r\nFrom-Path: ${linePath}\r\nMessage-ID: m1\r\nByte-Range: 1-*/9\r\nContent-Type: a/b\r\n\r\nfirst`,
    );
    await client.see(/\r\n\r\nfirst$/);
    peer.socket.write(' 2nd\r\n-------half0001$\r\n');
    await client.see(/first 2nd\r\n-------\S+\$\r\n/);
  });

  it('goes on with a message whose chunk was interrupted, and passes its end on', async () => {
    const { client, peer, ...meet } = await meeting();
    const chunk = ['Message-ID: m1', 'Byte-Range: 1-*/6', 'Content-Type: a/b'];
    expect(await peer.answerOf(meet.in(chunk, 'abc', '+'))).toBe(200);
    const rest = ['Message-ID: m1', 'Byte-Range: 4-6/6', 'Content-Type: a/b'];
    expect(await peer.answerOf(meet.in(rest, 'def', '$'))).toBe(200);
    await client.see(
      /Byte-Range: 1-3\/6[^]*\r\n\r\nabc\r\n-------\S+\+[^]*Byte-Range: 4-6\/6[^]*\r\n\r\ndef\r\n-------\S+\$/,
    );
    expect(await peer.answerOf(meet.in(['Message-ID: m2', 'Content-Type: a/b'], 'x', '#'))).toBe(200);
    await client.see(/Message-ID: m2[^]*-------\S+#/);
  });

  it('reports what the next hop refuses, and what it never answers', async () => {
    const clock = new VirtualClock();
    const { client, uri, peer, relay, ...meet } = await meeting({ clock });
    expect(await peer.answerOf(meet.in(text, 'abc'))).toBe(200);
    const onward = await client.take(/SEND/);
    client.answer(idOf(onward), 413, uri, client.path);
    const report = await peer.take(/REPORT/);
    expect(report).toContain(
      `\r\nTo-Path: ${linePath}\r\nFrom-Path: ${uri}\r\nMessage-ID: m1\r\nByte-Range: 1-3/3\r\nStatus: 000 413 Stop Sending Message\r\n`,
    );
    expect(await peer.answerOf(meet.in(text, 'abc'))).toBe(200);
    await client.take(/SEND/);
    await clock.advanceAsync(31_000, 1000);
    expect(await peer.take(/REPORT/)).toContain('\r\nStatus: 000 408 Request Timeout\r\n');
    expect(relay.figures.failures).toBe(2);
  });

  it('reports no failure to who wants none, nor silence to who wants errors only', async () => {
    const clock = new VirtualClock();
    const { client, uri, peer, ...meet } = await meeting({ clock });
    for (const wish of ['no', 'partial']) meet.in([`Failure-Report: ${wish}`, ...text], 'abc');
    const silent = await client.take(/SEND[^]*?Failure-Report: no/);
    client.answer(idOf(silent), 413, uri, client.path);
    await client.take(/SEND[^]*?Failure-Report: partial/);
    await clock.advanceAsync(31_000, 1000);
    meet.in(['Failure-Report: partial', ...text.with(0, 'Message-ID: m3')], 'abc');
    const refused = await client.take(/SEND[^]*?Message-ID: m3/);
    client.answer(idOf(refused), 415, uri, client.path);
    expect(await peer.take(/REPORT/)).toContain('Message-ID: m3\r\n');
    expect(peer.text).toBe('');
  });

  it('tells who sends to a next hop that is gone or cannot be reached', async () => {
    const { client, uri, peer, trail, ...meet } = await meeting();
    const id = meet.out(text, 'abc');
    expect(await client.answerOf(id)).toBe(200);
    await peer.take(/SEND/);
    peer.socket.destroy();
    client.text = '';
    expect(await client.take(/REPORT/)).toContain('\r\nStatus: 000 408 ');
    client.say(`${uri} msrp://127.0.0.1:1/nobody;tcp`, 'x', ['Byte-Range: 1-1/1']);
    expect(await client.take(/REPORT/)).toContain('\r\nStatus: 000 408 ');
    const asked = client.request(
      'NICKNAME',
      `${uri} msrp://127.0.0.1:1/nobody;tcp`,
      [],
      undefined,
      '$',
      client.path,
    );
    expect(await client.answerOf(asked)).toBe(408);
    expect(trail.recent({ code: 'msrp.relay-hop-lost' })[0]!.detail).not.toContain('nobody');
  });

  it('sends for nobody but its client, wherever To-Path leads', async () => {
    const { client, uri, peer } = await meeting();
    const far = await startEndpoint();
    // a peer reaches the client alone, whatever URI it writes after that of the relay
    const id = peer.request('SEND', `${uri} msrp://127.0.0.1:${far.port}/x;tcp`, text, 'abc');
    expect(await peer.answerOf(id)).toBe(200);
    await client.take(/SEND[^]*?Message-ID: m1/);
    expect(far.endpoint.figures.connections).toBe(0);
    const bad = client.request('SEND', `${uri} http://x/`, text, 'abc', '$', client.path);
    expect(await client.answerOf(bad)).toBe(400);
    const portless = client.request('SEND', `${uri} msrp://far.example/x;tcp`, text, 'a', '$', client.path);
    expect(await client.answerOf(portless)).toBe(400);
  });

  it('has so many next hops for one URI', async () => {
    const { client, uri } = await meeting({}, { limits: { hops: 2 } });
    const to = (name: string): string =>
      client.request(
        'SEND',
        `${uri} msrp://127.0.0.1:1/${name};tcp`,
        ['Message-ID: m'],
        undefined,
        '$',
        client.path,
      );
    const answers = [client.answerOf(to('a')), client.answerOf(to('b'))];
    expect((await Promise.all(answers)).sort()).toEqual([200, 403]);
  });

  it('refuses byte ranges that are none or that the octets exceed', async () => {
    const { peer, relay, ...meet } = await meeting();
    const ranged = (range: string): string[] => [
      'Message-ID: m1',
      `Byte-Range: ${range}`,
      'Content-Type: a/b',
    ];
    expect(await peer.answerOf(meet.in(ranged('x'), 'abc'))).toBe(400);
    expect(await peer.answerOf(meet.in(ranged('1-2/2'), 'abc'))).toBe(400);
    expect(await peer.answerOf(meet.in(['Content-Type: a/b'], 'abc'))).toBe(400);
    expect(relay.figures.refused).toBe(2);
  });

  it('stops a fast sender while the receiver does not read, and holds little of the message', async () => {
    const { client, uri, endpoint, relay } = await meeting();
    const far = await startEndpoint();
    let go = (): void => {};
    const gate = new Promise<void>((resolve) => (go = resolve));
    const receiver = counting(
      streamedMessages(50_000_000, async (_message, pieces) => {
        await gate;
        for await (const piece of pieces) void piece;
        return 200;
      }),
    );
    const session = far.endpoint.createSession({ receiver });
    const id = client.say(`${uri} ${session.uri.text}`, octets(40_000_000).toString('latin1'), [
      'Byte-Range: 1-*/*',
      'Success-Report: yes',
    ]);
    await eventually(() => receiver.octets > 262_144);
    await meanwhile(endpoint);
    const stoppedAt = relay.figures.octets;
    await meanwhile(endpoint);
    expect(relay.figures.octets).toBe(stoppedAt);
    // the rest is in sockets or with the sender
    expect(relay.figures.octets).toBeLessThan(30_000_000);
    go();
    expect(await client.answerOf(id)).toBe(200);
    await client.see(/REPORT\r\n[^]*Byte-Range: 1-40000000\/40000000\r\nStatus: 000 200/);
  });

  it('stops who floods a receiver that does not read with reports', async () => {
    const { client, uri, peer, endpoint, relay } = await meeting();
    peer.socket.pause();
    const head = (i: number): string =>
      `MSRP r${String(i).padStart(7, '0')} REPORT\r\nTo-Path: ${uri} ${linePath}\r\nFrom-Path: ${client.path}\r\nMessage-ID: m1\r\nStatus: 000 200 OK\r\nX: ${'x'.repeat(8000)}\r\n-------r${String(i).padStart(7, '0')}$\r\n`;
    for (let i = 0; i < 6000; i++) client.socket.write(head(i));
    await eventually(() => relay.figures.requests > 100);
    let before = -1;
    await eventually(() => {
      const still = before === relay.figures.requests;
      before = relay.figures.requests;
      return still;
    });
    await meanwhile(endpoint);
    expect(relay.figures.requests).toBeLessThan(5000);
    peer.socket.resume();
    await eventually(() => relay.figures.requests > 6000);
  });
});
