import type { HeaderMap } from '../../../src/sip/message/headers.js';
import type { SipRequest, SipResponse } from '../../../src/sip/message/message.js';
import { acceptInvitation, acknowledge, cpmDevice, createGroup } from '../../tools/group-party.js';
import type { Phone } from '../../tools/phone.js';
import { establish, type Session } from '../participating/session-world.js';

/** Contribution-ID of the 1-1 session that becomes a group. */
export const ONE_TO_ONE = '5b7c1f0e-6b0a-4c0f-9d62-0a4f3c9b1d11';
export const CAROL = '<entry uri="sip:carol@ims.test" cp:copyControl="to"/>';

export type Device = Phone & { readonly gruu: string };

/** The four devices of Figure 9, with bob's second one. */
export interface Cast {
  readonly alice: Device;
  readonly bob: Device;
  readonly bobsOther: Device;
  readonly carol: Device;
}

const instances: Readonly<Record<keyof Cast, string>> = {
  alice: '6ca759e8-d1b1-5dee-95f9-e36d2aca6bc1',
  bob: '6ca759e8-d1b1-5dee-95f9-e36d2aca6bb1',
  bobsOther: '6ca759e8-d1b1-5dee-95f9-e36d2aca6bb2',
  carol: '6ca759e8-d1b1-5dee-95f9-e36d2aca6bc3',
};

/** Registers the devices. @param cleanups closes them. */
export async function cast(port: number, cleanups: (() => unknown)[]): Promise<Cast> {
  const open = async (name: keyof Cast): Promise<Device> => {
    const phone = await cpmDevice(name === 'bobsOther' ? 'bob' : name, instances[name], port);
    cleanups.push(() => phone.close());
    return phone;
  };
  return {
    alice: await open('alice'),
    bob: await open('bob'),
    bobsOther: await open('bobsOther'),
    carol: await open('carol'),
  };
}

/** The session of alice and bob before, at the first of bob's devices although both ring. */
export async function oneToOne({ alice, bob, bobsOther }: Cast, headers: HeaderMap = {}): Promise<Session> {
  const other = (async () => {
    const rung = await bobsOther.peer.request('INVITE');
    bobsOther.peer.answer(rung, 180, {}, 'other');
    const cancel = await bobsOther.peer.request('CANCEL');
    bobsOther.peer.answer(cancel, 200, {}, 'other');
    bobsOther.peer.answer(rung, 487, {}, 'other');
    await bobsOther.peer.request('ACK');
  })();
  const session = await establish(alice, bob, { 'Contribution-ID': ONE_TO_ONE, ...headers });
  await other;
  return session;
}

/** Bob's entry in alice's list, by which only the device of the session is meant. */
export const bobEntry = (uri: string, header = `Session-Replaces=${ONE_TO_ONE}`): string =>
  `<entry uri="${uri};method=INVITE?${header}" cp:copyControl="to"/>`;

/** The three ways in which an entry may tell the device, the last of which tells nothing. */
export const entryForms: readonly (readonly [string, (bob: Device) => string])[] = [
  ['its GRUU', ({ gruu }) => bobEntry(gruu)],
  [
    'an Accept-Contact',
    () => {
      const wanted = `*;+sip.instance="<urn:uuid:${instances.bob}>";require;explicit`;
      const escaped = encodeURIComponent(wanted).replaceAll('*', '%2A');
      return bobEntry('sip:bob@ims.test', `Session-Replaces=${ONE_TO_ONE}&amp;Accept-Contact=${escaped}`);
    },
  ],
  ['the session alone', () => bobEntry('sip:bob@ims.test')],
];

/** Steps 1 to 4 and 15 to 16. @returns the INVITEs that bob's device and carol's have got. */
export async function extend(
  { alice, bob, carol }: Cast,
  entry = bobEntry(bob.gruu),
): Promise<{ toBob: SipRequest; toCarol: SipRequest }> {
  createGroup(alice, entry + CAROL);
  const [toBob, toCarol] = await Promise.all([bob.peer.request('INVITE'), carol.peer.request('INVITE')]);
  return { toBob, toCarol };
}

/** Steps 7 and 8. @returns the group session identity, and the description of the focus. */
export async function created(
  alice: Phone,
): Promise<{ focus: string; description: Uint8Array; answer: SipResponse }> {
  const response = await alice.peer.response(200);
  if (response.status !== 200) throw new Error(`the group was refused with ${response.status}`);
  acknowledge(alice, response);
  return { focus: response.contacts[0]!.uriText, description: response.body, answer: response };
}

/** Accepts, and waits until that has arrived: steps 5 and 6, or 17 and 18. */
export async function accept(phone: Phone, invite: SipRequest): Promise<void> {
  acceptInvitation(phone, invite);
  await phone.peer.request('ACK');
}

/** Steps 9 to 14: bob's device ends the session by its old way. */
export async function endOneToOne(
  { alice, bob }: Pick<Cast, 'alice' | 'bob'>,
  session: Session,
): Promise<SipRequest> {
  const Reason = 'SIP;cause=200;text="Session replaced"';
  bob.send('BYE', session.fromCallee.uri, { ...session.fromCallee.headers, Reason });
  const bye = await alice.answer('BYE', 200);
  const answer = await bob.peer.response(200);
  if (answer.status !== 200) throw new Error(`BYE got ${answer.status}`);
  return bye;
}
