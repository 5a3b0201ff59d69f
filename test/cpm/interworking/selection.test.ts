import { describe, expect, it } from 'vitest';
import type {
  InProcessFunction,
  InterworkedInvitation,
  InterworkedMessage,
  InterworkingFunction,
} from '../../../src/cpm/interworking/function.js';
import { cpmServices } from '../../../src/identity/cpm-services.js';
import type { HeaderMap } from '../../../src/sip/message/headers.js';
import { useCleanups } from '../../tools/cleanups.js';
import { startParley, type RunningParley } from '../../tools/parley.js';
import { Phone } from '../../tools/phone.js';
import { offer, SDP, sessionsOf, setPolicy } from '../participating/session-world.js';
import { SipPeer } from '../../tools/sip-peer.js';
import { soon } from '../../tools/soon.js';

const cleanups = useCleanups();

/** An interworking function of this process that keeps what it gets. */
class KeepingFunction implements InProcessFunction {
  readonly messages: InterworkedMessage[] = [];
  readonly invitations: InterworkedInvitation[] = [];
  readonly #invited: (invitation: InterworkedInvitation) => Promise<unknown>;

  constructor(invited: (invitation: InterworkedInvitation) => Promise<unknown> = () => Promise.resolve()) {
    this.#invited = invited;
  }

  knows(address: string): boolean {
    return !address.includes('nobody');
  }

  message(message: InterworkedMessage): Promise<number> {
    this.messages.push(message);
    return Promise.resolve(202);
  }

  async invitation(invitation: InterworkedInvitation): Promise<void> {
    this.invitations.push(invitation);
    await this.#invited(invitation);
  }
}

const inProcess = (
  target: InProcessFunction,
  over: Partial<InterworkingFunction> = {},
): InterworkingFunction => ({
  name: 'imps',
  service: 'imps',
  addresses: ['wv:', 'tel:'],
  capabilities: new Set(['message', 'session', 'group']),
  target,
  ...over,
});

async function server(cpm: object = {}): Promise<RunningParley> {
  const sip = { overloadDelay: 60_000, timers: { t1: 10_000, t2: 10_000 } };
  const parley = await startParley({ auth: 'none', cpm, sip, gateway: { enabled: false } });
  cleanups.push(() => parley.stop());
  return parley;
}

async function opened(user: string, parley: RunningParley): Promise<Phone> {
  const phone = await Phone.open(user, parley.port);
  cleanups.push(() => phone.close());
  return phone;
}

const PAGER: HeaderMap = {
  Contact: undefined,
  'P-Preferred-Service': cpmServices.message,
  'Content-Type': 'text/plain',
  'Conversation-ID': 'conversation-1',
  'Contribution-ID': 'contribution-1',
};

describe('a request to a principal outside CPM', () => {
  it.each(['wv:bob@ims.test', 'tel:+15550199999'])(
    'reaches the function of this process that answers for %s, with identity and identifiers',
    async (address) => {
      const parley = await server();
      const imps = new KeepingFunction();
      parley.app.interworking.registry.add(inProcess(imps));
      const alice = await opened('alice', parley);
      expect((await alice.ask('MESSAGE', address, PAGER, 'hello')).status).toBe(202);
      expect(imps.messages).toMatchObject([
        {
          sender: 'sip:alice@ims.test',
          recipient: address,
          conversationId: 'conversation-1',
          contributionId: 'contribution-1',
          contentType: 'text/plain',
          body: Buffer.from('hello'),
        },
      ]);
    },
  );

  it('is no concern of a function for telephone numbers when the number is a user here', async () => {
    const parley = await server({ deferral: { perUser: 1 } });
    const imps = new KeepingFunction();
    parley.app.interworking.registry.add(inProcess(imps));
    await parley.app.subscribers.add({
      privateId: 'bob@ims.test',
      password: 'bob-secret',
      identities: ['sip:bob@ims.test', 'tel:+15550100002'],
    });
    const alice = await opened('alice', parley);
    expect((await alice.ask('MESSAGE', 'tel:+15550100002', PAGER, 'hello')).status).toBe(202); // deferred
    expect(imps.messages).toEqual([]);
  });

  it('whom no function knows gets 404, and one that lacks the capability 488', async () => {
    const parley = await server();
    parley.app.interworking.registry.add(
      inProcess(new KeepingFunction(), { capabilities: new Set(['session']) }),
    );
    const alice = await opened('alice', parley);
    expect((await alice.ask('MESSAGE', 'wv:nobody@ims.test', PAGER, 'x')).status).toBe(404);
    expect((await alice.ask('MESSAGE', 'wv:bob@ims.test', PAGER, 'x')).status).toBe(488);
    expect((await alice.ask('MESSAGE', 'mailto:bob@example.com', PAGER, 'x')).status).toBe(404);
  });

  it('as an invitation is answered by the function of this process, with the GRUU of the device that called', async () => {
    const parley = await server();
    const imps: KeepingFunction = new KeepingFunction(({ request, response }) =>
      parley.app.stack.createUAS(request, response, {
        body: 'v=0',
        headers: { 'Content-Type': 'application/sdp' },
      }),
    );
    parley.app.interworking.registry.add(inProcess(imps));
    const alice = await opened('alice', parley);
    const gruu = 'sip:alice@ims.test;gr=urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e';
    await alice.register(';+sip.instance="<urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e>"', {
      Supported: 'gruu',
    });
    const answer = await alice.ask('INVITE', 'wv:bob@ims.test', {
      Contact: `<${gruu}>`,
      'P-Preferred-Service': cpmServices.session,
    });
    expect(answer.status).toBe(200);
    expect(imps.invitations).toMatchObject([
      { kind: 'session', recipient: 'wv:bob@ims.test', senderDevice: gruu },
    ]);
  });

  it('goes to a SIP interworking function by Route, with the identifier of the non-CPM service', async () => {
    const iwf = await SipPeer.open();
    cleanups.push(() => iwf.close());
    const parley = await server({
      interworking: {
        functions: [
          {
            name: 'mail',
            service: 'smtp',
            addresses: ['mailto:'],
            uri: `sip:127.0.0.1:${iwf.port}`,
          },
        ],
      },
    });
    const alice = await opened('alice', parley);
    alice.send('MESSAGE', 'mailto:bob@example.com', PAGER, 'hello');
    const message = await iwf.request('MESSAGE');
    iwf.answer(message, 202, { Contact: [] });
    expect(message.uri).toBe('mailto:bob@example.com');
    expect(message.get('Non-CPM-Service')).toBe('smtp');
    expect(message.get('Contribution-ID')).toBe('contribution-1');
    expect((await alice.peer.response(200)).status).toBe(202);
  });
});

describe("a request that the recipient's devices do not know", () => {
  const SIMPLE = { features: ['+g.oma.sip-im'], addresses: [] as string[] };

  it.each([
    ['out of the media path', {}],
    ['in the media path', { mediaPath: true }],
  ])('goes to the function that serves their features, as an invitation by SIP, %s', async (_, policy) => {
    const iwf = await SipPeer.open();
    cleanups.push(() => iwf.close());
    const target = `sip:127.0.0.1:${iwf.port}`;
    const functions = [
      { name: 'im', service: 'simple-im', uri: target, capabilities: ['session'], ...SIMPLE },
    ];
    const parley = await server({ interworking: { functions } });
    const bob = await opened('bob', parley);
    await bob.register(
      `;+g.oma.sip-im;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"`,
    );
    const alice = await opened('alice', parley);
    await setPolicy(parley, bob.aor, policy);
    alice.send(
      'INVITE',
      bob.aor,
      {
        'P-Preferred-Service': cpmServices.session,
        'Conversation-ID': 'conversation-3',
        ...SDP,
      },
      offer(),
    );
    const ringing = await bob.answer('INVITE', 180);
    await alice.peer.response(180);
    bob.peer.answer(ringing, 488, {}, 'tag-bob');
    const invite = await iwf.request('INVITE');
    expect(invite.get('Non-CPM-Service')).toBe('simple-im');
    expect(invite.get('Conversation-ID')).toBe('conversation-3');
    // past the server that was to be in its media path
    expect(Buffer.from(invite.body).toString()).toBe(offer());
    const device = `sip:im@127.0.0.1:${iwf.port}`;
    iwf.answer(invite, 200, { Contact: `<${device}>` });
    expect((await alice.peer.response(200)).status).toBe(200);
    await soon(() => sessionsOf(parley)).toMatchObject([
      { mediaPath: false, caller: { user: alice.aor }, callee: { user: bob.aor, device } },
    ]);
  });

  it('goes to a function of this process as a message, and without one its refusal goes back', async () => {
    const parley = await server();
    const imps = new KeepingFunction();
    const bob = await opened('bob', parley);
    await bob.register(';+g.oma.sip-im');
    const alice = await opened('alice', parley);
    alice.send('MESSAGE', bob.aor, PAGER, 'hello');
    await bob.answer('MESSAGE', 415, { Contact: [] });
    expect((await alice.peer.response(200)).status).toBe(415);
    parley.app.interworking.registry.add(inProcess(imps, SIMPLE));
    alice.send('MESSAGE', bob.aor, PAGER, 'hello again');
    await bob.answer('MESSAGE', 415, { Contact: [] });
    expect((await alice.peer.response(200)).status).toBe(202);
    expect(imps.messages).toMatchObject([{ recipient: bob.aor, contributionId: 'contribution-1' }]);
  });
});

describe('an interworking function', () => {
  it('sends a message into CPM with the identity of its principal and its service', async () => {
    const parley = await server();
    const bob = await opened('bob', parley);
    await bob.register(`;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg"`);
    const sent = parley.app.interworking.access.message({
      from: 'wv:carol@ims.test',
      to: 'sip:bob@ims.test',
      service: 'imps',
      contentType: 'text/plain',
      body: 'hello',
      conversationId: 'conversation-2',
    });
    const message = await bob.answer('MESSAGE', 200, { Contact: [] });
    expect(message.from.uriText).toBe('wv:carol@ims.test');
    expect(message.get('P-Asserted-Identity')).toBe('<wv:carol@ims.test>');
    expect(message.get('Non-CPM-Service')).toBe('imps');
    expect(message.get('Conversation-ID')).toBe('conversation-2');
    expect((await sent).status).toBe(200);
  });

  it('has its service on a message that waits for its recipient', async () => {
    const parley = await server();
    const answer = await parley.app.interworking.access.message({
      from: 'wv:carol@ims.test',
      to: 'sip:bob@ims.test',
      service: 'imps',
      contentType: 'text/plain',
      body: 'hello',
    });
    expect(answer.status).toBe(202);
    const bob = await opened('bob', parley);
    await bob.register(`;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg"`);
    expect((await bob.answer('MESSAGE', 200, { Contact: [] })).get('Non-CPM-Service')).toBe('imps');
  });

  it('invites into CPM as the device of a user here, and the session ends with BYE', async () => {
    const parley = await server();
    const bob = await opened('bob', parley);
    await bob.register(`;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"`);
    const inviting = parley.app.interworking.access.invite({
      from: 'wv:carol@ims.test',
      to: 'sip:bob@ims.test',
      service: 'imps',
      contentType: 'application/sdp',
      body: 'v=0',
    });
    const invite = await bob.answer('INVITE', 200, { 'Content-Type': 'application/sdp' });
    expect(invite.get('Accept-Contact')).toContain('oma.cpm.session');
    const dialog = await inviting;
    void dialog.destroy();
    await bob.answer('BYE', 200);
  });
});
