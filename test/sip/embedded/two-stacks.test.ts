import { randomBytes } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { ParleyError } from '../../../src/base/errors.js';
import type { SipRequest } from '../../../src/sip/message/message.js';
import type { Dialog } from '../../../src/sip/stack.js';
import { afterThisTest, node, type Node } from './nodes.js';
import { LossyLink } from '../../tools/lossy-link.js';

/** A stack with UDP and TCP on one port: the system gives one that is free over TCP, and another one when it is not over UDP. */
async function nodeOnOnePort(): Promise<Node> {
  for (;;) {
    const probe = createServer();
    await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
    const { port } = probe.address() as AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    try {
      return await node([`tcp:127.0.0.1:${port}`, `udp:127.0.0.1:${port}`]);
    } catch (error) {
      if (!(error instanceof ParleyError && error.code === 'sip-port-taken')) throw error;
    }
  }
}

const sdp = { 'Content-Type': 'application/sdp' };
const text = ({ body }: { body: Uint8Array }): string => Buffer.from(body).toString();
const ended = (dialog: Dialog): Promise<SipRequest | string> =>
  new Promise((resolve) => dialog.onEnd(resolve));

/** bob answers every call: a reliable 183, then 200; INFO is echoed, a re-INVITE is answered. */
function answerCalls(bob: Node, headers: Record<string, string> = {}): Promise<Dialog> {
  return new Promise((resolve) => {
    bob.stack.on('INVITE', async (request, response) => {
      response.send(183, { headers: { ...sdp, ...headers, Require: '100rel' }, body: 'early' });
      const dialog = await bob.stack.createUAS(request, response, {
        headers: { ...sdp, ...headers },
        body: 'answer',
      });
      dialog.onRequest((inside, answer) => {
        answer.send(200, {
          body: inside.body,
          headers: inside.method === 'INVITE' ? sdp : { 'Content-Type': 'x/y' },
        });
      });
      resolve(dialog);
    });
  });
}

/** A whole call with everything a dialog does; `uri` leads to bob. */
async function wholeCall(
  alice: Node,
  bob: Node,
  uri: string,
  headers: [Record<string, string>, Record<string, string>] = [{}, {}],
): Promise<void> {
  const answered = answerCalls(bob, headers[1]);
  const provisional: string[] = [];
  const near = await alice.stack.createUAC(uri, {
    method: 'INVITE',
    headers: { ...sdp, ...headers[0] },
    body: 'offer',
    onProvisional: (response) => {
      if (response.status > 100) provisional.push(text(response));
    },
  });
  const far = await answered;
  expect(provisional).toContain('early');
  expect(text(near.response!)).toBe('answer');
  const info = await near.send({
    method: 'INFO',
    body: Uint8Array.of(0, 128, 255),
    headers: { 'Content-Type': 'x/y' },
  });
  expect([info.status, ...info.body]).toEqual([200, 0, 128, 255]);
  expect(text(await near.modify('second offer', sdp))).toBe('second offer');
  near.onRequest((_request, response) => {
    response.send(200, { body: 'from alice', headers: sdp });
  });
  expect(text(await far.modify('third offer', sdp))).toBe('from alice');
  const [nearEnd, farEnd] = [ended(near), ended(far)];
  await far.destroy({ Reason: 'Q.850;cause=16' });
  expect(((await nearEnd) as SipRequest).get('Reason')).toBe('Q.850;cause=16');
  expect(await farEnd).toBe('destroyed');
}

describe('two stacks', () => {
  it.each(['udp', 'tcp'] as const)('make a whole call over %s', async (protocol) => {
    const [alice, bob] = [await node(), await node()];
    await wholeCall(alice, bob, bob.uri(protocol));
  });

  it('make a whole call over IPv6', async () => {
    const [alice, bob] = [await node(['udp:[::1]:0']), await node(['udp:[::1]:0'])];
    await wholeCall(alice, bob, bob.uri());
  });

  it('make a whole call through a proxy that changes from UDP to TCP', async () => {
    const [alice, proxy, bob] = [await node(), await node(), await node()];
    proxy.stack.on('*', async (request, response) => {
      const uri = request.recordRouted || request.toTag !== undefined ? request.uri : bob.uri('tcp');
      const flow = request.has('Route') ? undefined : request.routeFlow;
      await proxy.stack.proxyRequest(request, response, {
        groups: [[{ uri, ...(flow === undefined ? {} : { flow }) }]],
        recordRoute: true,
      });
    });
    await wholeCall(alice, bob, proxy.uri());
  });

  it('make a whole call through a B2BUA', async () => {
    const [alice, middle, bob] = [await node(), await node(), await node()];
    middle.stack.on('INVITE', async (request, response) => {
      await middle.stack.createB2BUA(request, response, { uri: bob.uri() });
    });
    await wholeCall(alice, bob, middle.uri('tcp'));
  });

  it('make a whole call over UDP that loses the first copy of every message', async () => {
    const [alice, bob] = [await node(['udp:127.0.0.1:0'], 20), await node(['udp:127.0.0.1:0'], 20)];
    const seen = new Set<string>();
    const link = await LossyLink.open(
      alice.stack.listeners[0]!.port,
      bob.stack.listeners[0]!.port,
      (octets) => {
        // an ACK is sent once for each 2xx that comes, so it is a copy whenever it is not the first
        const key = octets.toString('latin1');
        const again = seen.has(key) || /^ACK/.test(key);
        seen.add(key);
        return again;
      },
    );
    afterThisTest(() => link.close());
    await wholeCall(alice, bob, `sip:bob@127.0.0.1:${link.rightAsSeen}`, [
      { Contact: `<sip:alice@127.0.0.1:${link.leftAsSeen}>` },
      { Contact: `<sip:bob@127.0.0.1:${link.rightAsSeen}>` },
    ]);
    const lost = link.dropped.map((line) =>
      line.split(' ')[0] === 'SIP/2.0' ? line.split(' ')[1] : line.split(' ')[0],
    );
    for (const what of ['INVITE', '183', 'PRACK', '200', 'INFO', 'BYE']) expect(lost).toContain(what);
  });

  it('carry 100,000 arbitrary octets to a UDP address, over TCP', async () => {
    const [alice, bob] = [await node(), await nodeOnOnePort()];
    const octets = randomBytes(100_000);
    bob.stack.on('MESSAGE', (request, response) => {
      const whole = request.source.protocol === 'tcp' && Buffer.compare(request.body, octets) === 0;
      response.send(whole ? 202 : 400);
    });
    const answer = await alice.stack.request(bob.uri(), {
      method: 'MESSAGE',
      body: octets,
      headers: { 'Content-Type': 'application/octet-stream' },
    });
    expect(answer.status).toBe(202);
  });

  it('keep a subscription: NOTIFYs, refresh from outside, end', async () => {
    const [watcher, notifier] = [await node(), await node()];
    const accepted = new Promise<Dialog>((resolve) => {
      notifier.stack.on('SUBSCRIBE', async (request, response) => {
        const dialog = await notifier.stack.createUAS(request, response, { headers: { Expires: 300 } });
        resolve(dialog);
        await dialog.send({ method: 'NOTIFY', body: 'state 1', headers: { 'Content-Type': 'x/y' } });
      });
    });
    const dialog = await watcher.stack.createUAC(notifier.uri('tcp'), {
      method: 'SUBSCRIBE',
      headers: { Event: 'reg', Expires: 600 },
    });
    const heard: string[] = [];
    const first = new Promise<void>((resolve) =>
      dialog.onRequest((request, response) => {
        heard.push(`${text(request)} ${request.get('Subscription-State')}`);
        response.send(200);
        resolve();
      }),
    );
    await first;
    const far = await accepted;
    const end = ended(dialog);
    await far.destroy({ 'Subscription-State': 'terminated;reason=deactivated' });
    await end;
    expect(heard).toEqual(['state 1 active;expires=300', ' terminated;reason=deactivated']);
  });
});
