import { describe, expect, it } from 'vitest';
import { MediaPath, placeForContacts } from '../../../src/cpm/participating/media-path.js';
import { MsrpNegotiation, wholeMessages, type EndpointOptions } from '../../../src/msrp/session/index.js';
import { parseMsrpMedia } from '../../../src/msrp/sdp/index.js';
import { tls } from '../../sip/transport/bench.js';
import { anything, startEndpoint } from '../../msrp/tools/endpoints.js';
import { Line, lineOffer } from '../../msrp/tools/line.js';
import { TcpProxy } from '../../tools/tcp-proxy.js';

const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (octets: Uint8Array): string => Buffer.from(octets).toString();
const receiver = wholeMessages(100, () => 200);
const hello = { contentType: 'text/plain', content: Buffer.from('hello') };

/** Our place between two clients of endpoints of their own. */
async function between(options: Partial<EndpointOptions> = {}) {
  const [ours, one, other] = [await startEndpoint(options), await startEndpoint(), await startEndpoint()];
  const path = new MediaPath(ours.endpoint, { subject: 'sip:alice@ims.test', lost: () => {} });
  const alice = new MsrpNegotiation(one.endpoint.createSession({ receiver }), anything);
  const client = (behindNat: boolean) =>
    new MsrpNegotiation(other.endpoint.createSession({ receiver }), { ...anything, behindNat });
  return { ours, one, other, path, alice, client };
}

describe('a media path between clients', () => {
  // what the caller offers, what we answer: RFC 6135 §4.2.1 and §4.2.2, RFC 4145 §4.1 for holdconn
  it.each([
    ['a=setup:active', 'passive'],
    ['a=setup:passive', 'active'],
    ['a=setup:actpass', 'passive'],
    ['a=setup:holdconn', 'passive'],
    ['a=x-nothing', 'passive'],
  ])(
    'answers %s with %s, and both sides can send, whichever role the callee takes',
    async (offered, answered) => {
      for (const behindNat of [false, true]) {
        const { path, alice, client } = await between();
        const bob = client(behindNat);
        const offer = text(path.offer(bytes(alice.offer().replace('a=setup:passive', offered)), 'uas'));
        expect(offer).toContain('\r\na=setup:actpass\r\n');
        const answer = bob.answer(offer);
        expect(answer).toContain(`\r\na=setup:${behindNat ? 'active' : 'passive'}\r\n`);
        const back = text(path.answer(bytes(answer), 'uac'));
        expect(back).toContain(`\r\na=setup:${answered}\r\n`);
        alice.accept(back);
        expect(await alice.session.send(hello).sent).toBe(200);
        expect(await bob.session.send(hello).sent).toBe(200);
        path.close();
      }
    },
  );

  it('has two sessions or none, where their number is limited', async () => {
    const { endpoint } = await startEndpoint({ limits: { sessions: 3 } });
    const begin = (): MediaPath => new MediaPath(endpoint, { subject: 'sip:alice@ims.test', lost: () => {} });
    const first = begin();
    expect(begin).toThrow(expect.objectContaining({ code: 'msrp-limit', sip: 503 }));
    expect(endpoint.figures.sessions).toBe(2);
    first.close();
    begin();
  });

  it('connects to the middlebox that c= and m= name, and says that it can (RFC 6714)', async () => {
    const { one, path, alice, client } = await between();
    const box = await TcpProxy.start(one.port);
    try {
      const bob = client(false);
      const offered = alice.offer().replace(/m=message \d+/, `m=message ${box.port}`);
      const offer = text(path.offer(bytes(offered), 'uas'));
      expect(offer).toContain('\r\na=msrp-cema\r\n');
      // towards the callee our own address stands in c=, m= and the path alike
      expect(offer).toMatch(
        /m=message (\d+) [^]*c=IN IP4 127\.0\.0\.1\r\n[^]*a=path:msrp:\/\/127\.0\.0\.1:\1\//,
      );
      alice.accept(path.answer(bytes(bob.answer(offer)), 'uac'));
      expect(await bob.session.send(hello).sent).toBe(200);
      expect(box.connections).toBe(1);
    } finally {
      await box.close();
    }
    path.close();
  });

  it.each([
    [
      'msrps://10.0.0.1:7/c;tcp',
      /^m=message \d+ TCP\/TLS\/MSRP \*\r$[^]*^a=path:msrps:\/\/\S+;tcp\r$[^]*^a=fingerprint:SHA-256 /m,
    ],
    ['msrp://x.invalid:7/c;ws', /^m=message \d+ TCP\/MSRP \*\r$[^]*^a=path:msrp:\/\/\S+;ws\r$/m],
    ['msrps://x.invalid:7/c;ws', /^a=path:msrp:\/\/\S+;tcp\r$/m],
  ])('sends a caller at %s to the listener of its kind, if there is one', async (caller, expected) => {
    const { endpoint } = await startEndpoint({ tls });
    await endpoint.listen({ transport: 'tcp', secure: true, host: '127.0.0.1', port: 0 });
    await endpoint.listen({ transport: 'ws', secure: false, host: '127.0.0.1', port: 0 });
    const { client } = await between();
    const offer = bytes(lineOffer(caller));
    const path = new MediaPath(endpoint, {
      subject: 'sip:alice@ims.test',
      offer: parseMsrpMedia(offer),
      lost: () => {},
    });
    const answer = client(false).answer(text(path.offer(offer, 'uas')));
    expect(text(path.answer(bytes(answer), 'uac'))).toMatch(expected);
    path.close();
  });

  it.each([
    [['sip:a@b.invalid;transport=ws'], 'msrps', 'ws'],
    [['sip:a@b.invalid;transport=WSS;ob'], 'msrps', 'ws'],
    [['sip:a@b.invalid;transport=ws', 'sip:a@192.0.2.1'], 'msrp', 'tcp'],
    [['sip:a@192.0.2.1;transport=tcp'], 'msrp', 'tcp'],
    [[], 'msrp', 'tcp'],
  ])('sends a callee at %j to %s over %s', async (contacts, scheme, transport) => {
    const { endpoint } = await startEndpoint({ tls });
    for (const secure of [false, true])
      await endpoint.listen({ transport: 'ws', secure, host: '127.0.0.1', port: 0 });
    const callee = placeForContacts(endpoint, contacts);
    const path = new MediaPath(endpoint, { subject: 'sip:alice@ims.test', callee, lost: () => {} });
    const offer = text(path.offer(bytes(lineOffer('msrp://10.0.0.1:7/c;tcp')), 'uas'));
    expect(offer).toMatch(new RegExp(`^a=path:${scheme}://\\S+;${transport}\r$`, 'm'));
    path.close();
  });

  it.each([
    ['path', 481],
    ['session-id', 200],
  ] as const)(
    'that matches by %s answers %i to a path that a box has rewritten',
    async (matching, status) => {
      const { ours, path, client } = await between({ matching });
      const bob = client(false);
      const offer = text(path.offer(bytes(lineOffer('msrp://10.0.0.1:7/caller;tcp')), 'uas'));
      const back = text(path.answer(bytes(bob.answer(offer)), 'uac'));
      const to = /a=path:(\S+)/.exec(back)![1]!;
      const line = new Line(ours.port);
      const send = (from: string): Promise<number> =>
        line.answerOf(
          line.request('SEND', to, ['Message-ID: m', 'Content-Type: text/plain'], 'x', '$', from),
        );
      expect(await send('msrp://192.0.2.1:9999/caller;tcp')).toBe(status);
      expect(await send('msrp://10.0.0.1:7/other;tcp')).toBe(481);
      expect(await send('msrp://10.0.0.1:7/caller;tcp')).toBe(200);
      path.close();
    },
  );
});
