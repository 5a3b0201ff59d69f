import { describe, expect, it } from 'vitest';
import type { Dialog, Handler } from '../../../src/sip/stack.js';
import { WebSocketPeer } from '../../tools/websocket-peer.js';
import { afterThisTest, node, type Node } from './nodes.js';

const contact = 'sip:alice@df7jal23ls0d.invalid;transport=ws';

const fromAlice = (
  method: string,
  sequence: number,
  uri: string,
  more = '',
): string => `${method} ${uri} SIP/2.0
  Via: SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bK${method}${sequence}
  Max-Forwards: 70
  From: <sip:alice@ims.test>;tag=a
  To: <sip:bob@ims.test>${more === '' ? '' : ';tag='}${more}
  Call-ID: ws-call
  CSeq: ${sequence} ${method}
  Contact: <${contact}>
  Content-Length: 0`;

/** Forwards what begins a dialog to `first`, and what belongs to one along its Route set, as a core does. */
function forwarding(proxy: Node, first: () => { uri: string; flow?: string }): Handler {
  return async (request, response) => {
    const flow = request.has('Route') ? undefined : request.routeFlow;
    const onward = { uri: request.uri, ...(flow === undefined ? {} : { flow }) };
    const target = request.recordRouted ? onward : first();
    await proxy.stack.proxyRequest(request, response, { groups: [[target]], recordRoute: true });
  };
}

async function withAliceOnWebSocket(): Promise<{ proxy: Node; bob: Node; alice: WebSocketPeer }> {
  const [proxy, bob] = [await node(['ws:127.0.0.1:0', 'udp:127.0.0.1:0']), await node()];
  const alice = await WebSocketPeer.open(proxy.port('ws'));
  return { proxy, bob, alice };
}

describe('a user agent behind a WebSocket (RFC 7118, RFC 5626 §5.3)', () => {
  it('calls, and the callee’s requests come back over its connection', async () => {
    const { proxy, bob, alice } = await withAliceOnWebSocket();
    afterThisTest(() => alice.close());
    proxy.stack.on(
      '*',
      forwarding(proxy, () => ({ uri: bob.uri() })),
    );
    const answered = new Promise<Dialog>((resolve) => {
      bob.stack.on('INVITE', async (request, response) =>
        resolve(await bob.stack.createUAS(request, response)),
      );
    });
    alice.send(fromAlice('INVITE', 1, 'sip:bob@ims.test'));
    expect((await alice.final()).status).toBe(200);
    const dialog = await answered;
    const info = dialog.send({ method: 'INFO' });
    const request = await alice.request('INFO');
    expect(request.uri).toBe(contact);
    alice.answer(request, 200);
    expect((await info).status).toBe(200);
  });

  it('whose connection is gone is told to the callee as 430', async () => {
    const { proxy, bob, alice } = await withAliceOnWebSocket();
    proxy.stack.on(
      '*',
      forwarding(proxy, () => ({ uri: bob.uri() })),
    );
    const closed = new Promise<string>((resolve) => proxy.stack.onFlowClosed(resolve));
    const flows: string[] = [];
    const answered = new Promise<Dialog>((resolve) => {
      bob.stack.on('INVITE', async (request, response) =>
        resolve(await bob.stack.createUAS(request, response)),
      );
    });
    proxy.stack.on('INVITE', async (request, response) => {
      flows.push(request.source.flow);
      await forwarding(proxy, () => ({ uri: bob.uri() }))(request, response);
    });
    alice.send(fromAlice('INVITE', 1, 'sip:bob@ims.test'));
    const ok = await alice.final();
    const route = `${ok.toTag}\nRoute: ${ok.headers.list('Record-Route').reverse().join(', ')}`;
    alice.send(fromAlice('ACK', 1, ok.contacts[0]!.uriText, route));
    const dialog = await answered;
    await alice.close();
    expect(await closed).toBe(flows[0]);
    expect((await dialog.send({ method: 'INFO' })).status).toBe(430);
  });

  it('is called over its flow, and the caller’s later requests reach it too', async () => {
    const { proxy, bob, alice } = await withAliceOnWebSocket();
    afterThisTest(() => alice.close());
    let flow = '';
    proxy.stack.on('REGISTER', (request, response) => {
      flow = request.source.flow;
      response.send(200);
    });
    proxy.stack.on(
      '*',
      forwarding(proxy, () => ({ uri: contact, flow })),
    );
    alice.send(fromAlice('REGISTER', 1, 'sip:ims.test'));
    await alice.final();
    const calling = bob.stack.createUAC(proxy.uri('udp'), { method: 'INVITE' });
    const invite = await alice.request('INVITE');
    expect(invite.uri).toBe(contact);
    alice.answer(invite, 200, { Contact: `<${contact}>` });
    const dialog = await calling;
    const ack = await alice.request('ACK');
    expect(ack.uri).toBe(contact);
    const bye = dialog.destroy();
    alice.answer(await alice.request('BYE'), 200);
    await bye;
  });
});
