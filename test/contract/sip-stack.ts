import { createSocket } from 'node:dgram';
import { describe, expect, it } from 'vitest';
import type { SipRequest, SipResponse } from '../../src/sip/message/message.js';
import type { Dialog, Protocol, SipStack } from '../../src/sip/stack.js';
import { FinalResponseError } from '../../src/sip/final-response-error.js';
import { afterThisTest, node, type Node } from '../sip/embedded/nodes.js';
import { SipPeer } from '../tools/sip-peer.js';
import { until } from '../tools/until.js';
import { WebSocketPeer } from '../tools/websocket-peer.js';

/** A stack under test with real listeners; peers talk to it over the network. */
export interface Subject {
  readonly stack: SipStack;
  readonly port: (protocol?: Protocol) => number;
}

const uriOf = (subject: Subject, protocol: Protocol = 'udp'): string =>
  `sip:user@127.0.0.1:${subject.port(protocol)}${protocol === 'udp' ? '' : `;transport=${protocol}`}`;

const text = (body: Uint8Array): string => Buffer.from(body).toString('utf8');
const sdp = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n';
const withSdp = { headers: { 'Content-Type': 'application/sdp' }, body: sdp };

/** Octets 1 to 255, and with `nul` all of them. */
const octets = (nul: boolean): Uint8Array =>
  Uint8Array.from({ length: nul ? 256 : 255 }, (_, i) => (nul ? i : i + 1));

/** A node that answers INVITE and gives the dialogs it makes. */
async function callee(headers: Record<string, string> = {}): Promise<{ peer: Node; dialogs: Dialog[] }> {
  const peer = await node();
  const dialogs: Dialog[] = [];
  peer.stack.on('INVITE', async (request, response) => {
    dialogs.push(
      await peer.stack.createUAS(request, response, {
        ...withSdp,
        headers: { ...withSdp.headers, ...headers },
      }),
    );
  });
  return { peer, dialogs };
}

async function rawPeer(): Promise<SipPeer> {
  const peer = await SipPeer.open();
  afterThisTest(() => peer.close());
  return peer;
}

/** A callee that has sent its 200 when the CANCEL comes gets the ACK, and a BYE. */
async function answeredWhileCancelled(peer: SipPeer, invite: SipRequest): Promise<void> {
  const cancel = await peer.request('CANCEL');
  const contact = { Contact: `<sip:127.0.0.1:${peer.port}>`, 'Content-Type': 'application/sdp' };
  peer.answer(invite, 200, contact, 'callee', sdp);
  peer.answer(cancel, 200);
  await peer.request('ACK');
  peer.answer(await peer.request('BYE'), 200);
}

/** Forwards what comes to `targets`, and what belongs to a dialog along its way, as a core does. */
function forwarding(
  subject: Subject,
  targets: () => { uri: string; route?: string[]; flow?: string }[],
): void {
  subject.stack.on('*', async (request, response) => {
    const group = request.recordRouted ? [{ uri: request.uri }] : targets();
    await subject.stack.proxyRequest(request, response, { groups: [group], recordRoute: true });
  });
}

/**
 * What a role may expect of a SIP stack, whichever it is.
 * @param open makes a started stack; it is closed after the test.
 */
export function sipStackContract(open: () => Promise<Subject>): void {
  describe('requests outside dialogs', () => {
    it('reach the handler of their method, and its answer reaches the sender', async () => {
      const [subject, peer] = [await open(), await node()];
      let seen: SipRequest | undefined;
      subject.stack.on('MESSAGE', (request, response) => {
        seen = request;
        response.send(202, { headers: { 'X-Note': 'kept' } });
      });
      const answer = await peer.stack.request(uriOf(subject), {
        method: 'MESSAGE',
        headers: { 'Content-Type': 'text/plain' },
        body: 'hello',
      });
      expect(answer.status).toBe(202);
      expect(answer.get('X-Note')).toBe('kept');
      expect(text(seen!.body)).toBe('hello');
    });

    it('sent by us come back with their final response', async () => {
      const [subject, peer] = [await open(), await node()];
      peer.stack.on('OPTIONS', (_request, response) => void response.send(486, { reason: 'Busy indeed' }));
      const answer = await subject.stack.request(peer.uri(), { method: 'OPTIONS' });
      expect([answer.status, answer.reason]).toEqual([486, 'Busy indeed']);
    });

    it('to a place where nobody is give 503 or 408 and no exception', async () => {
      const subject = await open();
      const answer = await subject.stack.request('sip:nobody@127.0.0.1:9;transport=tcp', {
        method: 'OPTIONS',
      });
      expect([503, 408]).toContain(answer.status);
    });

    it('go where their topmost Route says, which arrives there', async () => {
      const [subject, edge] = [await open(), await node()];
      let seen: SipRequest | undefined;
      edge.stack.on('MESSAGE', (request, response) => {
        seen = request;
        response.send(200);
      });
      const route = [`<sip:term@127.0.0.1:${edge.port()};lr>`, '<sip:second.example;lr>'];
      const answer = await subject.stack.request('sip:bob@nowhere.invalid', {
        method: 'MESSAGE',
        route,
        headers: { 'Content-Type': 'text/plain' },
        body: 'x',
      });
      expect(answer.status).toBe(200);
      expect(seen!.uri).toBe('sip:bob@nowhere.invalid');
      expect(seen!.headers.list('Route')).toEqual(['<sip:second.example;lr>']);
    });

    it('to a GRUU keep what it names, both ways', async () => {
      const [subject, peer] = [await open(), await node()];
      const gruu = 'sip:alice@ims.test;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6';
      const seen: string[] = [];
      for (const { stack } of [subject, peer])
        stack.on('MESSAGE', (request, response) => {
          seen.push(request.uri);
          response.send(200);
        });
      const to = (route: string): { method: string; route: string[] } => ({
        method: 'MESSAGE',
        route: [`<${route};lr>`],
      });
      expect((await subject.stack.request(gruu, to(peer.uri()))).status).toBe(200);
      expect((await peer.stack.request(gruu, to(uriOf(subject)))).status).toBe(200);
      expect(seen).toEqual([gruu, gruu]);
    });

    it('keep UTF-8 in header fields', async () => {
      const [subject, peer] = [await open(), await node()];
      subject.stack.on(
        'MESSAGE',
        (request, response) =>
          void response.send(200, { headers: { Subject: `${request.get('Subject')} grüßt` } }),
      );
      const answer = await peer.stack.request(uriOf(subject), {
        method: 'MESSAGE',
        headers: { Subject: 'Дмитрий 中 ü' },
      });
      expect(answer.get('Subject')).toBe('Дмитрий 中 ü grüßt');
    });

    it('keep every octet of a body but NUL, both ways', async () => {
      const [subject, peer] = [await open(), await node()];
      let seen: Uint8Array | undefined;
      subject.stack.on('MESSAGE', (request, response) => {
        seen = request.body;
        response.send(200, { headers: { 'Content-Type': 'application/octet-stream' }, body: request.body });
      });
      const sent = octets(false);
      const answer = await peer.stack.request(uriOf(subject), {
        method: 'MESSAGE',
        headers: { 'Content-Type': 'application/octet-stream' },
        body: sent,
      });
      expect(Buffer.compare(seen!, sent)).toBe(0);
      expect(Buffer.compare(answer.body, sent)).toBe(0);
    });

    it('with NUL in the body arrive unchanged where the stack says that it can, else are refused with 415', async () => {
      const [subject, peer] = [await open(), await node()];
      let seen: Uint8Array | undefined;
      peer.stack.on('MESSAGE', (request, response) => {
        seen = request.body;
        response.send(200);
      });
      const answer = await subject.stack.request(peer.uri(), {
        method: 'MESSAGE',
        headers: { 'Content-Type': 'application/octet-stream' },
        body: octets(true),
      });
      if (subject.stack.abilities.binaryBodies) expect(Buffer.compare(seen!, octets(true))).toBe(0);
      else expect([answer.status, seen]).toEqual([415, undefined]);
    });

    it('of 64 kB arrive whole where the stack says that it can, else are refused with 513; the next one arrives', async () => {
      const [subject, peer] = [await open(), await node()];
      const sizes: number[] = [];
      peer.stack.on('MESSAGE', (request, response) => {
        sizes.push(request.body.length);
        response.send(200);
      });
      const send = (size: number): Promise<SipResponse> =>
        subject.stack.request(peer.uri('tcp'), {
          method: 'MESSAGE',
          headers: { 'Content-Type': 'text/plain' },
          body: 'x'.repeat(size),
        });
      const large = await send(65_536);
      if (subject.stack.abilities.maxMessageBytes > 65_536) expect(large.status).toBe(200);
      else expect(large.status).toBe(513);
      expect((await send(10_000)).status).toBe(200);
      expect(sizes.at(-1)).toBe(10_000);
    });

    it('from the network arrive with 64 kB whole, and with NUL where the stack says that it can', async () => {
      const [subject, peer] = [await open(), await node()];
      const seen: Uint8Array[] = [];
      subject.stack.on('MESSAGE', (request, response) => {
        seen.push(request.body);
        response.send(200);
      });
      const send = (body: Uint8Array): Promise<SipResponse> =>
        peer.stack.request(uriOf(subject, 'tcp'), {
          method: 'MESSAGE',
          headers: { 'Content-Type': 'application/octet-stream' },
          body,
        });
      const large = Uint8Array.from({ length: 65_536 }, (_, i) => 1 + (i % 255));
      expect((await send(large)).status).toBe(200);
      expect(Buffer.compare(seen[0]!, large)).toBe(0);
      const { binaryBodies } = subject.stack.abilities;
      expect((await send(octets(true))).status).toBe(binaryBodies ? 200 : 400);
      expect(seen.slice(1).map((body) => [...body])).toEqual(binaryBodies ? [[...octets(true)]] : []);
    });

    it('in a burst of large ones all arrive', async () => {
      const [subject, peer] = [await open(), await node()];
      peer.stack.on('MESSAGE', (_request, response) => void response.send(200));
      const sent = Array.from({ length: 20 }, (_, i) =>
        subject.stack.request(peer.uri('tcp'), {
          method: 'MESSAGE',
          headers: { 'Content-Type': 'text/plain' },
          body: 'y'.repeat(i % 2 === 0 ? 8_000 : 100),
        }),
      );
      expect((await Promise.all(sent)).map((answer) => answer.status)).toEqual(sent.map(() => 200));
    });

    it('to a tel: URI without a Route fail and harm nothing', async () => {
      const [subject, peer] = [await open(), await node()];
      peer.stack.on('OPTIONS', (_request, response) => void response.send(200));
      const answer = await subject.stack.request('tel:+15550100001', { method: 'OPTIONS' });
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect((await subject.stack.request(peer.uri(), { method: 'OPTIONS' })).status).toBe(200);
    });

    it('over TCP come back over the connection they came on, by its flow', async () => {
      const [subject, peer] = [await open(), await node()];
      let flow = '';
      subject.stack.on('REGISTER', (request, response) => {
        flow = request.source.flow;
        expect(request.source.protocol).toBe('tcp');
        response.send(200);
      });
      peer.stack.on('OPTIONS', (_request, response) => void response.send(200));
      await peer.stack.request(uriOf(subject, 'tcp'), { method: 'REGISTER' });
      const answer = await subject.stack.request('sip:bob@unreachable.invalid', { method: 'OPTIONS', flow });
      expect(answer.status).toBe(200);
    });

    it('for two devices behind one contact host reach each over its own connection', async () => {
      const [subject, one, two] = [await open(), await node(), await node()];
      const contact = '<sip:bob@192.168.1.5:5060;transport=tcp>';
      const flows: string[] = [];
      subject.stack.on('REGISTER', (request, response) => {
        flows.push(request.source.flow);
        response.send(200, { headers: { Contact: `${contact};expires=600` } });
      });
      const got: string[] = [];
      for (const [name, device] of [
        ['one', one],
        ['two', two],
      ] as const) {
        device.stack.on('MESSAGE', (request, response) => {
          got.push(`${name} ${request.requestUri.user}`);
          response.send(200);
        });
        await device.stack.request(uriOf(subject, 'tcp'), {
          method: 'REGISTER',
          headers: { Contact: contact },
        });
      }
      for (const flow of flows)
        await subject.stack.request('sip:bob@192.168.1.5:5060;transport=tcp', { method: 'MESSAGE', flow });
      expect(got).toEqual(['one bob', 'two bob']);
    });

    it('over a WebSocket come back over it, by its flow', async () => {
      const subject = await open();
      const alice = await WebSocketPeer.open(subject.port('ws'));
      afterThisTest(() => alice.close());
      let flow = '';
      subject.stack.on('MESSAGE', (request, response) => {
        flow = request.source.flow;
        expect(request.source.protocol).toBe('ws');
        response.send(200);
      });
      alice.send(`MESSAGE sip:bob@ims.test SIP/2.0
        Via: SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bKws1
        Max-Forwards: 70
        From: <sip:alice@ims.test>;tag=a
        To: <sip:bob@ims.test>
        Call-ID: ws-contract-${Date.now()}
        CSeq: 1 MESSAGE
        Content-Length: 0`);
      expect((await alice.final()).status).toBe(200);
      const answer = subject.stack.request('sip:alice@df7jal23ls0d.invalid;transport=ws', {
        method: 'INFO',
        flow,
      });
      alice.answer(await alice.request('INFO'), 200);
      expect((await answer).status).toBe(200);
    });
  });

  describe('dialogs', () => {
    it('that the peer begins: answer, ACK, request of ours, BYE of the peer', async () => {
      const [subject, peer] = [await open(), await node()];
      const made: Dialog[] = [];
      const ends: unknown[] = [];
      let acks = 0;
      subject.stack.on('INVITE', async (request, response) => {
        const dialog = await subject.stack.createUAS(request, response, withSdp);
        dialog.onAck(() => acks++);
        dialog.onEnd((cause) => ends.push(cause));
        made.push(dialog);
      });
      const theirs = await peer.stack.createUAC(uriOf(subject), { method: 'INVITE', ...withSdp });
      theirs.onRequest((request, response) => void response.send(request.method === 'INFO' ? 200 : 501));
      await until(() => acks === 1);
      expect((await made[0]!.send({ method: 'INFO' })).status).toBe(200);
      await theirs.destroy();
      expect(ends).toHaveLength(1);
      expect(made[0]!.state).toBe('terminated');
    });

    it('that we begin: early dialog, answer, request of the peer, our BYE', async () => {
      const [subject, { peer, dialogs }] = [await open(), await callee()];
      const ours = await subject.stack.createUAC(peer.uri(), { method: 'INVITE', ...withSdp });
      ours.onRequest((_request, response) => void response.send(299));
      await until(() => dialogs.length === 1);
      expect((await dialogs[0]!.send({ method: 'INFO' })).status).toBe(299);
      await ours.destroy();
      expect(dialogs[0]!.state).toBe('terminated');
    });

    it('whose INVITE is refused reject with the final response', async () => {
      const [subject, peer] = [await open(), await node()];
      peer.stack.on('INVITE', (_request, response) => void response.send(486));
      const made = subject.stack.createUAC(peer.uri(), { method: 'INVITE', ...withSdp });
      await expect(made).rejects.toThrow(FinalResponseError);
    });

    it('can be modified by either side', async () => {
      const [subject, { peer, dialogs }] = [await open(), await callee()];
      const ours = await subject.stack.createUAC(peer.uri(), { method: 'INVITE', ...withSdp });
      await until(() => dialogs.length === 1);
      for (const [from, to] of [
        [ours, dialogs[0]!],
        [dialogs[0]!, ours],
      ] as const) {
        to.onRequest(
          (request, response) =>
            void response.send(200, { headers: { 'Content-Type': 'application/sdp' }, body: request.body }),
        );
        const answer = await from.modify(sdp.replace('1 1 IN', '1 2 IN'), {
          'Content-Type': 'application/sdp',
        });
        expect(answer.status).toBe(200);
      }
      await ours.destroy();
    });

    it('take provisional responses reliably, with PRACK', async () => {
      const [subject, peer] = [await open(), await node()];
      const made: Dialog[] = [];
      subject.stack.on('INVITE', async (request, response) => {
        response.send(183, { ...withSdp, headers: { ...withSdp.headers, Require: '100rel' } });
        made.push(await subject.stack.createUAS(request, response));
      });
      const provisionals: SipResponse[] = [];
      const theirs = await peer.stack.createUAC(uriOf(subject), {
        method: 'INVITE',
        ...withSdp,
        onProvisional: (response) => provisionals.push(response),
      });
      expect(provisionals.some((response) => response.status === 183 && response.has('RSeq'))).toBe(true);
      await theirs.destroy();
    });

    it('send PRACK for the reliable provisional responses of others', async () => {
      const [subject, peer] = [await open(), await node()];
      peer.stack.on('INVITE', async (request, response) => {
        response.send(183, { ...withSdp, headers: { ...withSdp.headers, Require: '100rel' } });
        await peer.stack.createUAS(request, response);
      });
      const ours = await subject.stack.createUAC(peer.uri(), { method: 'INVITE', ...withSdp });
      expect(ours.state).toBe('confirmed');
      await ours.destroy();
    });

    it('take an UPDATE of the peer while they are early, once its PRACK has come', async () => {
      const [subject, caller] = [await open(), await SipPeer.open()];
      afterThisTest(() => caller.close());
      let accept = (): void => {};
      subject.stack.on('INVITE', async (request, response) => {
        response.send(183, { ...withSdp, headers: { ...withSdp.headers, Require: '100rel' } });
        await new Promise<void>((resolve) => (accept = resolve));
        await subject.stack.createUAS(request, response);
      });
      const port = subject.port();
      const send = (
        method: string,
        cseq: number,
        to: string,
        lines: string[] = [],
        uri = uriOf(subject),
      ): void =>
        caller.sendOctets(
          [
            `${method} ${uri} SIP/2.0`,
            `Via: SIP/2.0/UDP 127.0.0.1:${caller.port};branch=z9hG4bK${method}${cseq}${port}`,
            'Max-Forwards: 70',
            'From: <sip:early@127.0.0.1>;tag=early',
            `To: ${to}`,
            `Call-ID: early-${caller.port}`,
            `CSeq: ${cseq} ${method}`,
            `Contact: <sip:early@127.0.0.1:${caller.port}>`,
            ...lines,
            'Content-Length: 0',
            '',
            '',
          ].join('\r\n'),
          port,
        );
      send('INVITE', 1, `<${uriOf(subject)}>`, ['Supported: 100rel, timer', 'Allow: INVITE, UPDATE, PRACK']);
      const early = await caller.response(183);
      const to = early.get('To')!;
      const target = early.contacts[0]!.uriText;
      send('PRACK', 2, to, [`RAck: ${early.get('RSeq')} 1 INVITE`], target);
      expect((await caller.response(200)).cseq.method).toBe('PRACK');
      send('UPDATE', 3, to, ['Supported: timer'], target);
      const updated = await caller.response(200);
      expect([updated.status, updated.cseq.method]).toEqual([200, 'UPDATE']);
      accept();
      const answer = await caller.response(200);
      expect([answer.status, answer.cseq.method]).toEqual([200, 'INVITE']);
      send('ACK', 1, to, [], target);
      send('BYE', 4, to, [], target);
      expect((await caller.response(200)).cseq.method).toBe('BYE');
    });

    it('agree on a session timer, and refuse an interval that is too small with 422', async () => {
      const [subject, peer] = [await open(), await node()];
      subject.stack.on('INVITE', async (request, response) => {
        await subject.stack.createUAS(request, response, withSdp);
      });
      const call = (seconds: string): Promise<Dialog> =>
        peer.stack.createUAC(uriOf(subject), {
          method: 'INVITE',
          body: sdp,
          headers: {
            ...withSdp.headers,
            Supported: 'timer',
            'Session-Expires': `${seconds};refresher=uac`,
            'Min-SE': '90',
          },
        });
      const dialog = await call('1800');
      expect(dialog.response!.get('Session-Expires')).toMatch(/^1800;refresher=uac$/);
      const refreshed = await dialog.send({
        method: 'UPDATE',
        headers: { 'Session-Expires': '1800;refresher=uac' },
      });
      expect([refreshed.status, refreshed.get('Session-Expires')]).toEqual([200, '1800;refresher=uac']);
      await dialog.destroy();
      const brief = await peer.stack.request(uriOf(subject), {
        method: 'INVITE',
        body: sdp,
        headers: {
          ...withSdp.headers,
          Contact: `<${peer.uri()}>`,
          Supported: 'timer',
          'Session-Expires': '60',
        },
      });
      expect([brief.status, brief.get('Min-SE')]).toEqual([422, '90']);
    });

    it('are not made of an INVITE that the peer cancels', async () => {
      const [subject, peer] = [await open(), await node()];
      let cancelled = 0;
      subject.stack.on('INVITE', (request, response) => {
        request.onCancel(() => cancelled++);
        response.send(180);
      });
      const made = peer.stack.createUAC(uriOf(subject), {
        method: 'INVITE',
        ...withSdp,
        onStarted: (cancel) => setTimeout(cancel, 100),
      });
      await expect(made).rejects.toMatchObject({ response: { status: 487 } });
      await until(() => cancelled === 1);
      expect(cancelled).toBe(1);
    });

    it('that we cancel while it rings end with 487', async () => {
      const [subject, peer] = [await open(), await node()];
      peer.stack.on('INVITE', (_request, response) => {
        response.send(180);
      });
      let cancel = (): void => {};
      const made = subject.stack.createUAC(peer.uri(), {
        method: 'INVITE',
        ...withSdp,
        onStarted: (stop) => (cancel = stop),
        onProvisional: (response) => response.status === 180 && cancel(),
      });
      await expect(made).rejects.toMatchObject({ response: { status: 487 } });
    });

    it('that we cancel before anything was heard end with 487 after the first provisional response', async () => {
      const [subject, peer] = [await open(), await rawPeer()];
      let cancel = (): void => {};
      const made = subject.stack.createUAC(`sip:127.0.0.1:${peer.port}`, {
        method: 'INVITE',
        ...withSdp,
        onStarted: (stop) => (cancel = stop),
      });
      const ended = expect(made).rejects.toMatchObject({ response: { status: 487 } });
      const invite = await peer.request('INVITE');
      cancel();
      peer.answer(invite, 180, {}, 'callee');
      peer.answer(await peer.request('CANCEL'), 200);
      peer.answer(invite, 487, {}, 'callee');
      await ended;
    });

    it('that we cancel while their 2xx is on its way are acknowledged and ended', async () => {
      const [subject, peer] = [await open(), await rawPeer()];
      let cancel = (): void => {};
      const made = subject.stack.createUAC(`sip:127.0.0.1:${peer.port}`, {
        method: 'INVITE',
        ...withSdp,
        onStarted: (stop) => (cancel = stop),
        onProvisional: (response) => response.status === 180 && cancel(),
      });
      const ended = expect(made).rejects.toThrow();
      const invite = await peer.request('INVITE');
      peer.answer(invite, 180, {}, 'callee');
      await answeredWhileCancelled(peer, invite);
      await ended;
    });

    it('by SUBSCRIBE carry NOTIFY until one that terminates', async () => {
      const [subject, peer] = [await open(), await node()];
      subject.stack.on('SUBSCRIBE', async (request, response) => {
        const dialog = await subject.stack.createUAS(request, response, { headers: { Expires: '60' } });
        await dialog.send({ method: 'NOTIFY', headers: { 'Content-Type': 'text/plain' }, body: 'first' });
        await dialog.destroy();
      });
      const bodies: string[] = [];
      const theirs = await peer.stack.createUAC(uriOf(subject), {
        method: 'SUBSCRIBE',
        headers: { Event: 'reg', Expires: '60' },
      });
      theirs.onRequest((request, response) => {
        bodies.push(text(request.body));
        response.send(200);
      });
      await until(() => theirs.state === 'terminated');
      expect(theirs.state).toBe('terminated');
    });
  });

  describe('the proxy', () => {
    it('forwards a request with its Path, and the target gets its own URI', async () => {
      const [subject, edge, caller] = [await open(), await node(), await node()];
      let seen: SipRequest | undefined;
      edge.stack.on('MESSAGE', (request, response) => {
        seen = request;
        response.send(200);
      });
      forwarding(subject, () => [
        { uri: 'sip:bob@10.1.2.3:5070;gr=urn:uuid:1', route: [`<sip:tok@127.0.0.1:${edge.port()};lr>`] },
      ]);
      const answer = await caller.stack.request(uriOf(subject), {
        method: 'MESSAGE',
        headers: { 'Content-Type': 'text/plain' },
        body: 'hi',
      });
      expect(answer.status).toBe(200);
      expect(seen!.uri).toBe('sip:bob@10.1.2.3:5070;gr=urn:uuid:1');
    });

    it('sets up a call, and its requests cross in both directions until BYE', async () => {
      const [subject, { peer, dialogs }, caller] = [await open(), await callee(), await node()];
      forwarding(subject, () => [{ uri: peer.uri() }]);
      const theirs = await caller.stack.createUAC(uriOf(subject), { method: 'INVITE', ...withSdp });
      await until(() => dialogs.length === 1);
      theirs.onRequest((_request, response) => void response.send(298));
      dialogs[0]!.onRequest((_request, response) => void response.send(299));
      expect((await theirs.send({ method: 'INFO' })).status).toBe(299);
      expect((await dialogs[0]!.send({ method: 'INFO' })).status).toBe(298);
      const ended = new Promise((resolve) => theirs.onEnd(resolve));
      await dialogs[0]!.destroy();
      await ended;
      expect(theirs.state).toBe('terminated');
    });

    it('lets reliable provisional responses and their PRACK cross, whichever target they come from', async () => {
      const [subject, busy, peer, caller] = [await open(), await node(), await node(), await node()];
      busy.stack.on('INVITE', (_request, response) => void response.send(486));
      peer.stack.on('INVITE', async (request, response) => {
        response.send(183, { ...withSdp, headers: { ...withSdp.headers, Require: '100rel' } });
        // waits for the PRACK before it sends the 2xx (RFC 3262 §3)
        await peer.stack.createUAS(request, response);
      });
      const crossed: string[] = [];
      forwarding(subject, () => [{ uri: busy.uri() }, { uri: peer.uri() }]);
      subject.stack.on('PRACK', async (request, response) => {
        crossed.push(request.get('RAck') ?? '');
        await subject.stack.proxyRequest(request, response, { groups: [[{ uri: request.uri }]] });
      });
      const provisionals: SipResponse[] = [];
      const theirs = await caller.stack.createUAC(uriOf(subject), {
        method: 'INVITE',
        ...withSdp,
        onProvisional: (response) => provisionals.push(response),
      });
      expect(provisionals.some((response) => response.status === 183 && response.has('RSeq'))).toBe(true);
      expect(crossed).toHaveLength(1);
      await theirs.destroy();
    });

    it('ends a call right after it began, though the role is slow with the ACK', async () => {
      const [subject, { peer, dialogs }, caller] = [await open(), await callee(), await node()];
      forwarding(subject, () => [{ uri: peer.uri() }]);
      let byeCame = false;
      subject.stack.on('BYE', async (request, response) => {
        byeCame = true;
        await subject.stack.proxyRequest(request, response, { groups: [[{ uri: request.uri }]] });
      });
      subject.stack.on('ACK', async (request, response) => {
        await until(() => byeCame);
        await subject.stack.proxyRequest(request, response, { groups: [[{ uri: request.uri }]] });
      });
      const theirs = await caller.stack.createUAC(uriOf(subject), { method: 'INVITE', ...withSdp });
      await theirs.destroy();
      await until(() => dialogs[0]?.state === 'terminated');
      expect(dialogs[0]!.state).toBe('terminated');
    });

    it('rings all targets at once, and the one that answers has the call', async () => {
      const [subject, { peer, dialogs }, silent, caller] = [
        await open(),
        await callee(),
        await node(),
        await node(),
      ];
      let [rings, cancelled] = [false, false];
      silent.stack.on('INVITE', (request, response) => {
        request.onCancel(() => (cancelled = true));
        response.send(180);
        rings = true;
      });
      peer.stack.on('INVITE', async (request, response) => {
        response.send(180);
        await until(() => rings);
        dialogs.push(await peer.stack.createUAS(request, response, withSdp));
      });
      forwarding(subject, () => [{ uri: silent.uri() }, { uri: peer.uri() }]);
      const theirs = await caller.stack.createUAC(uriOf(subject), { method: 'INVITE', ...withSdp });
      await until(() => cancelled);
      dialogs[0]!.onRequest((_request, response) => void response.send(299));
      expect((await theirs.send({ method: 'INFO' })).status).toBe(299);
      await theirs.destroy();
      await until(() => dialogs[0]!.state === 'terminated');
      expect(dialogs[0]!.state).toBe('terminated');
    });

    it('has one call where two answer at once: the other is acknowledged and ended', async () => {
      const [subject, one, two, caller] = [await open(), await rawPeer(), await rawPeer(), await node()];
      const devices = [one, two];
      forwarding(subject, () => devices.map(({ port }) => ({ uri: `sip:127.0.0.1:${port}` })));
      const made = caller.stack.createUAC(uriOf(subject), { method: 'INVITE', ...withSdp });
      const invites = await Promise.all(devices.map((device) => device.request('INVITE')));
      for (const [i, device] of devices.entries())
        device.answer(
          invites[i]!,
          200,
          { Contact: `<sip:127.0.0.1:${device.port}>`, 'Content-Type': 'application/sdp' },
          `callee-${i}`,
          sdp,
        );
      const theirs = await made;
      let ended = 0;
      const ends = devices.map(async (device) => {
        device.answer(await device.request('BYE'), 200);
        ended++;
      });
      await Promise.race(ends);
      expect(ended).toBe(1);
      await theirs.destroy();
      await Promise.all(ends);
      for (const { datagrams } of devices)
        expect(datagrams.some((datagram) => datagram.toString().startsWith('ACK '))).toBe(true);
    });

    it('gives the best of all refusals to the caller', async () => {
      const [subject, one, two, caller] = [await open(), await node(), await node(), await node()];
      one.stack.on('INVITE', (_request, response) => void response.send(500));
      two.stack.on('INVITE', (_request, response) => void response.send(486));
      forwarding(subject, () => [{ uri: one.uri() }, { uri: two.uri() }]);
      const made = caller.stack.createUAC(uriOf(subject), { method: 'INVITE', ...withSdp });
      await expect(made).rejects.toMatchObject({ response: { status: 486 } });
    });

    it('passes the caller’s CANCEL on', async () => {
      const [subject, peer, caller] = [await open(), await node(), await node()];
      let cancelled = false;
      peer.stack.on('INVITE', (request, response) => {
        request.onCancel(() => (cancelled = true));
        response.send(180);
      });
      forwarding(subject, () => [{ uri: peer.uri() }]);
      let cancel = (): void => {};
      const made = caller.stack.createUAC(uriOf(subject), {
        method: 'INVITE',
        ...withSdp,
        onStarted: (stop) => (cancel = stop),
        onProvisional: (response) => response.status === 180 && cancel(),
      });
      await expect(made).rejects.toMatchObject({ response: { status: 487 } });
      await until(() => cancelled);
    });

    it('ends a call that is answered while its caller cancels it', async () => {
      const [subject, peer, caller] = [await open(), await rawPeer(), await node()];
      forwarding(subject, () => [{ uri: `sip:127.0.0.1:${peer.port}` }]);
      let cancel = (): void => {};
      const made = caller.stack.createUAC(uriOf(subject), {
        method: 'INVITE',
        ...withSdp,
        onStarted: (stop) => (cancel = stop),
        onProvisional: (response) => response.status === 180 && cancel(),
      });
      const ended = expect(made).rejects.toThrow();
      const invite = await peer.request('INVITE');
      peer.answer(invite, 180, {}, 'callee');
      await answeredWhileCancelled(peer, invite);
      await ended;
    });

    it('answers for a device that is not there, and tries the next group', async () => {
      const [subject, { peer }, caller] = [await open(), await callee(), await node()];
      subject.stack.on('*', async (request, response) => {
        await subject.stack.proxyRequest(request, response, {
          groups: request.recordRouted
            ? [[{ uri: request.uri }]]
            : [[{ uri: 'sip:gone@127.0.0.1:9;transport=tcp' }], [{ uri: peer.uri() }]],
          recordRoute: true,
        });
      });
      const theirs = await caller.stack.createUAC(uriOf(subject), { method: 'INVITE', ...withSdp });
      await theirs.destroy();
      expect(theirs.state).toBe('terminated');
    });
  });

  describe('the B2BUA', () => {
    it('joins two legs, lets requests cross and ends both', async () => {
      const [subject, { peer, dialogs }, caller] = [await open(), await callee(), await node()];
      subject.stack.on('INVITE', async (request, response) => {
        await subject.stack.createB2BUA(request, response, { uri: peer.uri() });
      });
      const theirs = await caller.stack.createUAC(uriOf(subject), { method: 'INVITE', ...withSdp });
      await until(() => dialogs.length === 1);
      dialogs[0]!.onRequest((_request, response) => void response.send(299));
      expect((await theirs.send({ method: 'INFO' })).status).toBe(299);
      expect(dialogs[0]!.callId).not.toBe(theirs.callId);
      await theirs.destroy();
      await until(() => dialogs[0]!.state === 'terminated');
      expect(dialogs[0]!.state).toBe('terminated');
    });
  });

  it('answers something that is no SIP request without harm to the next one', async () => {
    const subject = await open();
    const socket = createSocket('udp4');
    afterThisTest(() => void socket.close());
    subject.stack.on('OPTIONS', (_request, response) => void response.send(200));
    socket.send(
      'OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1\r\nnonsense',
      subject.port(),
      '127.0.0.1',
    );
    const other = await node();
    expect((await other.stack.request(uriOf(subject), { method: 'OPTIONS' })).status).toBe(200);
  });
}
