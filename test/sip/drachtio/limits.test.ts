import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { Dialog, SipStack } from '../../../src/sip/stack.js';
import { Daemon, noDaemon } from '../../tools/drachtio-daemon.js';
import { drachtioStack } from '../../tools/drachtio-stack.js';
import { SipPeer } from '../../tools/sip-peer.js';
import { until } from '../../tools/until.js';
import { afterThisTest, node } from '../embedded/nodes.js';

/*
 * The table "What drachtio-server cannot do" of docs/drachtio.md, as far as the contract of all stacks does not show it. A test that
 * fails with a newer server says that a row can go.
 */

async function onDaemon(): Promise<{ stack: SipStack; codes: () => string[]; uri: string; port: number }> {
  const server = await Daemon.start();
  const { stack, trail, started } = drachtioStack(server.url);
  await started;
  await until(() => stack.listeners.length === 2);
  return {
    stack,
    codes: () => [...trail.counts().keys()],
    uri: `sip:user@127.0.0.1:${server.sip}`,
    port: server.sip,
  };
}

async function rawPeer(): Promise<SipPeer> {
  const peer = await SipPeer.open();
  afterThisTest(() => peer.close());
  return peer;
}

const outside = (
  method: string,
  port: number,
  own: number,
): string => `${method} sip:user@127.0.0.1:${port} SIP/2.0
  Via: SIP/2.0/UDP 127.0.0.1:${own};branch=z9hG4bK-${method}
  From: <sip:a@ims.test>;tag=a
  To: <sip:user@ims.test>
  Call-ID: limit-${method}
  CSeq: 1 ${method}
  Contact: <sip:a@127.0.0.1:${own}>
  Refer-To: <sip:b@ims.test>
  Max-Forwards: 70
  Content-Length: 0`;

describe.skipIf(noDaemon)('with a real drachtio-server', () => {
  it('a response that it does not take becomes 500, and the trail says why', async () => {
    const { stack, uri, codes } = await onDaemon();
    stack.on('OPTIONS', (_request, response) => {
      response.send(200, { headers: { 'Content-Type': 'text/plain' }, body: 'x'.repeat(12_000) });
    });
    const peer = await node();
    expect((await peer.stack.request(uri, { method: 'OPTIONS' })).status).toBe(500);
    expect(codes()).toContain('sip.drachtio-response-refused');
  });

  it('a list of more than 8,192 octets is cut, and where an address is cut through the response is 500', async () => {
    const { stack, uri } = await onDaemon();
    const padding = 'x'.repeat(200);
    const lists = new Map([
      ['Allow-Events', (i: number) => `p${i}${padding}`],
      ['Contact', (i: number) => `<sip:${padding}@192.0.2.1:${5000 + i}>`],
    ]);
    stack.on('REGISTER', (request, response) => {
      const field = request.get('Subject')!;
      const list = Array.from({ length: 45 }, (_, i) => lists.get(field)!(i));
      response.send(200, { headers: { [field]: list.join(', ') } });
    });
    const peer = await node();
    const ask = (Subject: string): ReturnType<SipStack['request']> =>
      peer.stack.request(uri, { method: 'REGISTER', headers: { Subject } });
    const cut = (await ask('Allow-Events')).headers.list('Allow-Events');
    expect(cut.length).toBeGreaterThan(30);
    expect(cut.length).toBeLessThan(45);
    expect((await ask('Contact')).status).toBe(500);
  });

  it('REFER and unknown methods outside dialogs are answered by nobody, and what comes after them is', async () => {
    const { stack, port } = await onDaemon();
    const seen: string[] = [];
    stack.on('*', (request, response) => {
      seen.push(request.method);
      response.send(200);
    });
    const peer = await rawPeer();
    for (const method of ['REFER', 'FETCH', 'OPTIONS']) peer.send(outside(method, port, peer.port), port);
    expect((await peer.response()).cseq.method).toBe('OPTIONS');
    expect(seen).toEqual(['OPTIONS']);
    expect(peer.unread).toHaveLength(0);
  });

  it('Request-URI and Route of more than 1,000 characters are refused with 414', async () => {
    const { stack } = await onDaemon();
    const route = [`<sip:${'x'.repeat(990)}@127.0.0.1:5999;lr>`];
    expect((await stack.request('sip:u@127.0.0.1:5999', { method: 'OPTIONS', route })).status).toBe(414);
  });

  it('a connection that has closed is told of when it is used next, with 430', async () => {
    const { stack, port } = await onDaemon();
    const flows: string[] = [];
    const closed: string[] = [];
    stack.onFlowClosed((flow) => closed.push(flow));
    stack.on('OPTIONS', (request, response) => {
      flows.push(request.source.flow);
      response.send(200);
    });
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const { localPort } = socket;
    socket.write(
      `${outside('OPTIONS', port, localPort!)
        .replace('/UDP', '/TCP')
        .replace(/\n[ ]*/g, '\r\n')}\r\n\r\n`,
    );
    await once(socket, 'data');
    socket.destroy();
    await once(socket, 'close');
    expect(closed).toEqual([]);
    expect((await stack.request('sip:a@gone.invalid', { method: 'OPTIONS', flow: flows[0]! })).status).toBe(
      430,
    );
    expect(closed).toEqual(flows);
  });

  it('a forwarded call has tags of its own towards the callee, and no Record-Route', async () => {
    const { stack, uri } = await onDaemon();
    const [caller, peer] = [await node(), await rawPeer()];
    stack.on('*', async (request, response) => {
      await stack.proxyRequest(request, response, {
        groups: [[{ uri: `sip:b@127.0.0.1:${peer.port}` }]],
        recordRoute: true,
      });
    });
    const begun = caller.stack.createUAC(uri, { method: 'INVITE' });
    const invite = await peer.request('INVITE');
    expect(invite.has('Record-Route')).toBe(false);
    peer.answer(invite, 200, { Contact: `<sip:b@127.0.0.1:${peer.port}>` });
    const dialog = await begun;
    expect(invite.fromTag).not.toBe(dialog.localTag);
    expect(dialog.routeSet).toEqual([]);
  });

  it('a re-INVITE does not move the remote target of a dialog', async () => {
    const { stack, uri } = await onDaemon();
    const dialogs: Dialog[] = [];
    stack.on('INVITE', async (request, response) => {
      const dialog = await stack.createUAS(request, response);
      dialog.onRequest((_again, answer) => void answer.send(200));
      dialogs.push(dialog);
    });
    const [peer, elsewhere] = [await node(), await rawPeer()];
    const theirs = await peer.stack.createUAC(uri, { method: 'INVITE' });
    await theirs.modify('', { Contact: `<sip:moved@127.0.0.1:${elsewhere.port}>` });
    expect((await dialogs[0]!.send({ method: 'INFO' })).status).toBe(200);
    expect(elsewhere.unread).toHaveLength(0);
  });

  it('a final response after a provisional one to a re-INVITE is lost', async () => {
    const { stack, uri } = await onDaemon();
    const dialogs: Dialog[] = [];
    stack.on('INVITE', async (request, response) => {
      dialogs.push(await stack.createUAS(request, response));
    });
    const peer = await node();
    const theirs = await peer.stack.createUAC(uri, { method: 'INVITE' });
    let provisional = true;
    let answered = false;
    theirs.onRequest((_again, answer) => {
      if (provisional) answer.send(180);
      answer.send(488);
      answered = true;
    });
    let final = false;
    const lost = dialogs[0]!.modify('').then(() => (final = true));
    lost.catch(() => {});
    await until(() => answered);
    provisional = false;
    expect((await dialogs[0]!.send({ method: 'INFO' })).status).toBe(488);
    expect(final).toBe(false);
  });
});
