import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SystemClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { MemoryTrail } from '../../../src/base/trail.js';
import { createNetwork } from '../../../src/sip/embedded/network.js';
import { createEmbeddedStack } from '../../../src/sip/embedded/stack.js';
import type { SipStack } from '../../../src/sip/stack.js';
import { SipPeer } from '../../tools/sip-peer.js';

describe('the embedded stack over loopback UDP', () => {
  let stack: SipStack;
  let alice: SipPeer;
  let bob: SipPeer;
  let clock: SystemClock;
  let port: number;

  beforeEach(async () => {
    clock = new SystemClock((error) => {
      throw error;
    });
    const common = { clock, log: silentLogger, trail: new MemoryTrail(() => clock.now()) };
    const wire = createNetwork({ ...common, listen: ['udp:127.0.0.1:0'] });
    stack = createEmbeddedStack({ ...common, wire, domain: 'ims.test' });
    await stack.start();
    port = stack.listeners[0]!.port;
    alice = await SipPeer.open();
    bob = await SipPeer.open();
  });

  afterEach(async () => {
    await stack.close();
    clock.close();
    alice.close();
    bob.close();
  });

  const request = (method: string, uri: string, cseq: number, extra = ''): string => `${method} ${uri} SIP/2.0
    Via: SIP/2.0/UDP 127.0.0.1:${alice.port};branch=z9hG4bK${method}${cseq};rport
    Max-Forwards: 70
    From: <sip:alice@ims.test>;tag=a
    To: <sip:bob@ims.test>${extra === '' ? '' : ';tag=b'}
    Call-ID: loopback
    CSeq: ${cseq} ${method}
    Contact: <sip:alice@127.0.0.1:${alice.port}>${extra}`;

  it('answers a REGISTER', async () => {
    stack.on('REGISTER', (_request, response) => {
      response.send(200);
    });
    alice.send(request('REGISTER', 'sip:ims.test', 1), port);
    expect((await alice.response()).status).toBe(200);
  });

  it('carries a whole record-routed call: INVITE, 180, 200, ACK, BYE', async () => {
    stack.on('*', async (incoming, response) => {
      const uri = incoming.recordRouted ? incoming.uri : `sip:bob@127.0.0.1:${bob.port}`;
      await stack.proxyRequest(incoming, response, { groups: [[{ uri }]], recordRoute: true });
    });
    alice.send(request('INVITE', 'sip:bob@ims.test', 1), port);
    const invite = await bob.request('INVITE');
    bob.answer(invite, 180, {}, 'b');
    expect((await alice.response()).status).toBe(180);
    bob.answer(invite, 200, { Contact: `<sip:bob@127.0.0.1:${bob.port}>` }, 'b');
    const ok = await alice.response();
    expect(ok.status).toBe(200);
    const route = `\n    Route: ${ok.headers.list('Record-Route').reverse().join(', ')}`;
    const target = ok.contacts[0]!.uriText;
    alice.send(request('ACK', target, 1, route), port);
    const ack = await bob.request();
    expect([ack.method, ack.uri]).toEqual(['ACK', target]);
    alice.send(request('BYE', target, 2, route), port);
    const bye = await bob.request();
    expect([bye.method, bye.has('Route')]).toEqual(['BYE', false]);
    bob.answer(bye, 200, {}, 'b');
    expect((await alice.response()).cseq).toEqual({ number: 2, method: 'BYE' });
  });

  it('sends a request of its own and gives the final response', async () => {
    const sent = stack.request(`sip:bob@127.0.0.1:${bob.port}`, {
      method: 'MESSAGE',
      body: Uint8Array.of(0, 255),
    });
    const message = await bob.request('MESSAGE');
    expect([...message.body]).toEqual([0, 255]);
    bob.answer(message, 202);
    expect((await sent).status).toBe(202);
  });
});
