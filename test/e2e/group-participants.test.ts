import { describe, expect, it } from 'vitest';
import { IMDN_NAMESPACE } from '../../src/msrp/cpim/index.js';
import { formatImdn, IMDN_TYPE } from '../../src/msrp/imdn.js';
import type { SipResponse } from '../../src/sip/message/message.js';
import { meeting, msrp, rejoin } from '../cpm/controlling/meeting.js';
import { useCleanups } from '../tools/cleanups.js';
import { descriptionIn, sdp, type MsrpClient } from '../tools/group-party.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import type { Phone } from '../tools/phone.js';

const cleanups = useCleanups();
const ALICE = 'sip:alice@ims.test';

async function server(groups: Record<string, unknown> = {}): Promise<RunningParley> {
  // a busy machine must make the server neither refuse work nor send it twice
  const parley = await startParley({
    auth: 'none',
    sip: { overloadDelay: 60_000, timers: { t1: 10_000, t2: 10_000 } },
    cpm: { groups },
  });
  cleanups.push(() => parley.stop());
  return parley;
}

const numbers = (first: number, last: number): string[] =>
  Array.from({ length: last - first + 1 }, (_, i) => String(first + i).padStart(4, '0'));

/** Alice says each, and hears it acknowledged. */
async function say(alice: MsrpClient, focus: string, texts: readonly string[]): Promise<void> {
  for (const text of texts) {
    alice.say(`say${text}`, ALICE, focus, `text ${text}.`);
    await alice.until(new RegExp(`MSRP say${text} 200`));
  }
}

/** What has come, without what came again. */
const heard = ({ text }: MsrpClient): string[] => [
  ...new Set([...text.matchAll(/text (\d{4})\./g)].map(([, n]) => n!)),
];

const notification = (by: string, kind: 'delivery' | 'display'): string =>
  formatImdn({
    messageId: 'm1',
    dateTime: '2026-01-01T00:00:00Z',
    recipientUri: by,
    kind,
    status: kind === 'delivery' ? 'delivered' : 'displayed',
  });

describe('a participant of a group', () => {
  it('that answers nothing slows nobody, and has all it missed in order when it connects again', async () => {
    const parley = await server();
    const { alice, bob, carol, focus, sessions } = await meeting(parley.port, cleanups);
    carol.answers = undefined;
    const texts = numbers(1, 60);
    await say(alice, focus, texts);
    await bob.until(/text 0060\./);
    expect(heard(bob)).toEqual(texts);
    expect(heard(carol).length).toBeLessThan(60);
    const queued = async (): Promise<string | undefined> =>
      /^parley_group_messages_queued (\d+)$/m.exec(await (await fetch(`${parley.api}/metrics`)).text())?.[1];
    await expect.poll(queued).toBe('60');
    carol.close();
    const again = msrp('carol', descriptionIn(sessions.carol), cleanups);
    await again.until(/text 0060\./);
    expect(heard(again)).toEqual(texts);
    await expect.poll(queued).toBe('0');
  });

  it('whose MSRP session is gone (481) hears a BYE, and has all it missed in order when it joins again', async () => {
    const parley = await server();
    const { alice, bob, carol, focus, party } = await meeting(parley.port, cleanups);
    await say(alice, focus, numbers(1, 2));
    await carol.until(/text 0002\./);
    carol.answers = 481;
    await say(alice, focus, numbers(3, 5));
    const bye = await party.carol.answer('BYE', 200);
    expect(bye.get('Reason')).toContain('cause=480');
    await say(alice, focus, numbers(6, 7));
    const { media } = await rejoin(party.carol, focus, cleanups);
    await media.until(/text 0007\./);
    expect(heard(media)).toEqual(numbers(3, 7));
    expect(heard(bob)).toEqual(numbers(1, 7));
    const { members } = [...parley.app.controlling!.controlling.running][0]!.group;
    expect(members.map(({ state }) => state)).toEqual(['connected', 'connected', 'connected']);
  });

  /** Alice asks for an offer inside her session, and answers it in the ACK. @returns the offer. */
  async function reinvite(alice: Phone, session: SipResponse, answer: string): Promise<Uint8Array> {
    const uri = session.contacts[0]!.uriText;
    const headers = { From: session.get('From'), To: session.get('To'), 'Call-ID': session.callId };
    alice.send('INVITE', uri, headers);
    const offer = await alice.peer.response(200);
    expect(offer.status).toBe(200);
    const type = { 'Content-Type': 'application/sdp', CSeq: `${offer.cseq.number} ACK` };
    alice.send('ACK', uri, { ...headers, ...type }, answer);
    return offer.body;
  }

  it('that sends a re-INVITE without SDP gets an offer, and goes on at the path of its answer', async () => {
    const parley = await server();
    const { bob, focus, party, sessions } = await meeting(parley.port, cleanups);
    const offer = await reinvite(party.alice, sessions.alice, sdp('moved', 'active'));
    expect(Buffer.from(offer).toString()).toMatch(/^o=- \d+ 2 [^]*a=setup:passive/m);
    const moved = msrp('moved', offer, cleanups);
    await moved.until(/MSRP open0001 200/);
    bob.say('bob00001', 'sip:bob@ims.test', focus, 'text 0001.');
    await moved.until(/text 0001\./);
  });

  it('whose answer to such an offer is none of MSRP has no session any more', async () => {
    const parley = await server();
    const { party, sessions } = await meeting(parley.port, cleanups);
    await reinvite(party.alice, sessions.alice, 'v=0');
    const bye = await party.alice.answer('BYE', 200);
    expect(bye.get('Reason')).toBe('SIP;cause=488;text="Not Acceptable Here"');
  });

  it.each<[string, 'each' | 'aggregated', number]>([
    ['one by one', 'each', 2],
    ['in one', 'aggregated', 1],
  ])('and each other reports of a message to who sent it alone, %s', async (_how, mode, count) => {
    const parley = await server({ receipts: { mode, seconds: 20 } });
    const { alice, bob, carol, focus } = await meeting(parley.port, cleanups);
    const asked = { NS: `imdn <${IMDN_NAMESPACE}>`, 'imdn.Message-ID': 'm1' };
    alice.say('say00001', ALICE, focus, 'Got it?', {
      headers: { ...asked, 'imdn.Disposition-Notification': 'positive-delivery' },
    });
    for (const [name, media] of Object.entries({ bob, carol })) {
      await media.until(/imdn\.Disposition-Notification: positive-delivery[^]*Got it\?/);
      const self = `sip:${name}@ims.test`;
      media.say(`imdn0001`, self, ALICE, notification(self, 'delivery'), { type: IMDN_TYPE });
    }
    for (const media of [bob, carol]) await media.until(/MSRP imdn0001 200/);
    await alice.until(
      /bob@ims.test<\/recipient-uri>[^]*carol@ims.test<\/recipient-uri>|carol@ims.test<\/recipient-uri>[^]*bob@ims.test<\/recipient-uri>/,
    );
    expect(alice.text.match(/ SEND\r\n/g)).toHaveLength(count);
    alice.say('say00002', ALICE, focus, 'Thanks');
    for (const media of [bob, carol]) {
      await media.until(/Thanks/);
      expect(media.text).not.toContain('<imdn ');
    }
  });
});
