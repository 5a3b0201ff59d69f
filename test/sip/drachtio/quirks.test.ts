import { describe, expect, it } from 'vitest';
import { SystemClock, VirtualClock, type Clock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { MemoryTrail } from '../../../src/base/trail.js';
import { parseDrachtioSettings } from '../../../src/sip/drachtio/settings.js';
import { createDrachtioStack } from '../../../src/sip/drachtio/stack.js';
import { DrachtioWire } from '../../../src/sip/drachtio/wire.js';
import { createEmbeddedStack } from '../../../src/sip/embedded/stack.js';
import type { SipRequest } from '../../../src/sip/message/message.js';
import type { Dialog, SipStack } from '../../../src/sip/stack.js';
import { Daemon, noDaemon } from '../../tools/drachtio-daemon.js';
import { FakeDrachtio } from '../../tools/fake-drachtio.js';
import { until } from '../../tools/until.js';
import { afterThisTest, node } from '../embedded/nodes.js';

/*
 * What drachtio-server does that a stack must survive, and how (docs/drachtio.md). What the contract of all stacks shows on a real server
 * is not repeated here.
 */

interface Running {
  readonly stack: SipStack;
  readonly trail: MemoryTrail;
}

async function stackOn(url: string, clock: Clock): Promise<Running> {
  const trail = new MemoryTrail(() => clock.now());
  const stack = createDrachtioStack({ url, clock, log: silentLogger, trail, domain: 'ims.test' });
  afterThisTest(() => stack.close());
  await stack.start();
  return { stack, trail };
}

async function onFake(): Promise<Running & { fake: FakeDrachtio; pass: (ms: number) => Promise<void> }> {
  const clock = new VirtualClock();
  const fake = await FakeDrachtio.start();
  afterThisTest(() => fake.stop());
  const running = await stackOn(fake.url, clock);
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 5_000) {
      clock.advance(Math.min(5_000, ms - passed));
      // what is asked of the server in that time is before the answer to a probe, and its reply before the next probe
      await fake.taken();
      await fake.taken();
    }
  };
  return { ...running, fake, pass };
}

async function onDaemon(): Promise<Running & { server: Daemon }> {
  const clock = new SystemClock((error) => {
    throw error;
  });
  afterThisTest(() => clock.close());
  const server = await Daemon.start();
  return { ...(await stackOn(server.url, clock)), server };
}

const request = (method: string, more = ''): string => `${method} sip:ims.test SIP/2.0
  Via: SIP/2.0/UDP 127.0.0.1:5999;branch=z9hG4bK${method}
  From: <sip:a@ims.test>;tag=a
  To: <sip:ims.test>
  Call-ID: of-${method}
  CSeq: 1 ${method}
  Contact: <sip:a@127.0.0.1:5999>
  Max-Forwards: 70${more}
  Content-Length: 0`;

const toTag = (text: string): string | undefined => /^To:.*;tag=([^;\r]+)/im.exec(text)?.[1];

describe('drachtio-server', () => {
  it('forgets an INVITE of which nothing above 100 was said within 64 s: 182 is said before', async () => {
    const { stack, fake, pass } = await onFake();
    let answer: (() => Promise<Dialog>) | undefined;
    stack.on('INVITE', (invite, response) => {
      answer = () => stack.createUAS(invite, response);
    });
    fake.request('t1', request('INVITE'));
    await until(() => answer !== undefined);
    await pass(45_000);
    expect(fake.sent).toEqual([]);
    await pass(10_000);
    await until(() => fake.sent.length === 1);
    expect(fake.sent[0]!.text).toMatch(/^SIP\/2\.0 182 /);
    await answer!();
    await until(() => fake.sent.length === 2);
    expect(fake.sent[1]!.text).toMatch(/^SIP\/2\.0 200 /);
    expect(toTag(fake.sent[1]!.text)).toBe(toTag(fake.sent[0]!.text));
  });

  it('does not take a 200 for an INVITE that it has forgotten: the dialog ends', async () => {
    const { stack, fake } = await onFake();
    const dialogs: Dialog[] = [];
    stack.on('INVITE', async (invite, response) => {
      fake.refusal = 'Response not sent due to unknown transaction';
      dialogs.push(await stack.createUAS(invite, response));
    });
    fake.request('t1', request('INVITE'));
    await until(() => dialogs[0]?.state === 'terminated');
  });

  it('forgets other requests after 64 s: so does the stack, and says so', async () => {
    const { stack, fake, trail, pass } = await onFake();
    let seen = 0;
    stack.on('MESSAGE', () => void seen++);
    fake.request('t1', request('MESSAGE'));
    await until(() => seen === 1);
    await pass(60_000);
    expect(trail.counts().get('sip.drachtio-request-forgotten')).toBeUndefined();
    await pass(5_000);
    expect(trail.counts().get('sip.drachtio-request-forgotten')).toBe(1);
  });

  it('ends a call by itself when no ACK comes: its role hears a BYE with the reason', async () => {
    const { stack, fake } = await onFake();
    const ends: (SipRequest | string)[] = [];
    stack.on('INVITE', async (invite, response) => {
      const dialog = await stack.createUAS(invite, response);
      dialog.onEnd((cause) => ends.push(cause));
    });
    fake.request('t1', request('INVITE'));
    await until(() => fake.sent.length === 1);
    fake.request(
      'unsolicited',
      `BYE sip:a@127.0.0.1:5999 SIP/2.0
      Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKserver
      From: <sip:ims.test>;tag=${toTag(fake.sent[0]!.text)}
      To: <sip:a@ims.test>;tag=a
      Call-ID: of-INVITE
      CSeq: 7 BYE
      Reason: SIP ;cause=200 ;text="ACK timeout"
      Content-Length: 0`,
      'application',
      'of-INVITE;from-tag=a',
    );
    await until(() => ends.length === 1);
    expect((ends[0] as SipRequest).get('Reason')).toContain('ACK timeout');
    // nothing of it goes to the network
    expect(fake.sent).toHaveLength(1);
  });

  it('loses the final response after a provisional one inside a dialog: 408 after 40 s', async () => {
    const { stack, fake, pass } = await onFake();
    const dialogs: Dialog[] = [];
    stack.on('INVITE', async (invite, response) => {
      dialogs.push(await stack.createUAS(invite, response));
    });
    fake.request('t1', request('INVITE'));
    await until(() => dialogs.length === 1);
    const asked = dialogs[0]!.send({ method: 'INFO' });
    await until(() => fake.sent.length === 2);
    await pass(45_000);
    expect((await asked).status).toBe(408);
  });

  it('keeps a dialog for what was refused or is over: the stack does not', async () => {
    const clock = new VirtualClock();
    const trail = new MemoryTrail(() => clock.now());
    const fake = await FakeDrachtio.start();
    afterThisTest(() => fake.stop());
    const common = { clock, log: silentLogger, trail };
    const wire = new DrachtioWire({ ...common, settings: parseDrachtioSettings(fake.url) });
    const stack = createEmbeddedStack({ ...common, wire, domain: 'ims.test' });
    afterThisTest(() => stack.close());
    await stack.start();
    const dialogs = (): number => wire.transactions.dialogs;

    const refused = stack.createUAC('sip:bob@127.0.0.1:5999', { method: 'INVITE' });
    const ended = expect(refused).rejects.toMatchObject({ response: { status: 486 } });
    await until(() => fake.sent.length === 1);
    fake.respond(180, 'Contact: <sip:bob@127.0.0.1:5999>');
    await until(() => dialogs() === 1);
    fake.respond(486);
    await ended;
    expect(dialogs()).toBe(0);

    stack.on('SUBSCRIBE', async (subscribe, response) => {
      const dialog = await stack.createUAS(subscribe, response);
      await dialog.destroy();
    });
    fake.request('t1', request('SUBSCRIBE', '\nEvent: presence'));
    await until(() => fake.sent.some(({ text }) => /Subscription-State: terminated/i.test(text)));
    expect(dialogs()).toBe(1);
    fake.respond(200);
    await until(() => dialogs() === 0);
  });

  it('gives each copy of a verb more requests: each is asked for once, and after the secret', async () => {
    const { fake } = await onFake();
    const verbs = fake.commands.filter(([, command]) => command === 'route').map(([, , verb]) => verb);
    expect(new Set(verbs).size).toBe(verbs.length);
    expect(fake.commands[0]![1]).toBe('authenticate');
  });

  it('hands over messages that its own library would drop: they are answered 400', async () => {
    const { fake } = await onFake();
    fake.request('t1', request('OPTIONS', '\nno colon in this line'));
    await until(() => fake.sent.length === 1);
    expect(fake.sent[0]!.text).toMatch(/^SIP\/2\.0 400 /);
  });
});

describe.skipIf(noDaemon)('a real drachtio-server', () => {
  it('keeps several challenges on lines of their own', async () => {
    const { stack, server } = await onDaemon();
    const challenges = ['SHA-256', 'MD5'].map(
      (algorithm) => `Digest realm="ims.test", nonce="n", qop="auth", algorithm=${algorithm}`,
    );
    stack.on('REGISTER', (_request, response) => {
      response.send(401, { headers: { 'WWW-Authenticate': challenges } });
    });
    const peer = await node();
    const answer = await peer.stack.request(`sip:127.0.0.1:${server.sip}`, { method: 'REGISTER' });
    expect(answer.headers.lines('WWW-Authenticate')).toEqual(challenges);
  });

  it('knows a 2xx by Call-ID and CSeq: a call that comes through the server again and again is answered', async () => {
    const { stack, server } = await onDaemon();
    let turns = 0;
    stack.on('*', async (request, response) => {
      if (request.method !== 'INVITE' || request.toTag !== undefined) {
        await stack.proxyRequest(request, response, { groups: [[{ uri: request.uri }]] });
      } else if (turns++ === 3) await stack.createUAS(request, response);
      else {
        const route = [`<sip:again@127.0.0.1:${server.sip};lr>`];
        await stack.proxyRequest(request, response, {
          groups: [[{ uri: request.uri, route }]],
          recordRoute: true,
        });
      }
    });
    const peer = await node();
    const dialog = await peer.stack.createUAC(`sip:group@127.0.0.1:${server.sip}`, { method: 'INVITE' });
    expect(turns).toBe(4);
    await dialog.destroy();
  });

  it('replaces the host of identities at localhost, so that they are written in capitals', async () => {
    const { stack } = await onDaemon();
    const peer = await node();
    const heard: SipRequest[] = [];
    peer.stack.on('INVITE', async (invite, response) => {
      heard.push(invite);
      const dialog = await peer.stack.createUAS(invite, response);
      dialog.onRequest((info, answer) => {
        heard.push(info);
        answer.send(200);
      });
    });
    const identity = { 'P-Asserted-Identity': '<sip:alice@localhost>' };
    const headers = { ...identity, From: '<sip:alice@localhost>;tag=f' };
    const dialog = await stack.createUAC(peer.uri(), { method: 'INVITE', headers });
    await dialog.send({ method: 'INFO', headers: { ...identity, Subject: 'there' } });
    const hosts = heard.map((one) => [one.addresses('P-Asserted-Identity')[0]?.uri.host, one.from.uri.host]);
    expect(hosts).toEqual([
      ['localhost', 'localhost'],
      ['localhost', 'localhost'],
    ]);
    // in a dialog it would take all fields behind it away
    expect(heard[1]!.get('Subject')).toBe('there');
  });
});
