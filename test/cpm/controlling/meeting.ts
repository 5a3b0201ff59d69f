import type { SipRequest, SipResponse } from '../../../src/sip/message/message.js';
import { acknowledge, createGroup, descriptionIn, joinGroup, MsrpClient } from '../../tools/group-party.js';
import type { Phone } from '../../tools/phone.js';
import { accept, CAROL, cast, created, type Cast } from './extension-world.js';

type Name = 'alice' | 'bob' | 'carol';

/** A group of three, each with one device that is connected. */
export interface Meeting extends Record<Name, MsrpClient> {
  readonly party: Cast;
  /** Group session identity. */
  readonly focus: string;
  /** What the focus answered, or the INVITE that it sent. */
  readonly sessions: { readonly alice: SipResponse; readonly bob: SipRequest; readonly carol: SipRequest };
}

/** Alice makes a group with bob and carol. @param cleanups ends what they have. */
export async function meeting(port: number, cleanups: (() => unknown)[]): Promise<Meeting> {
  const party = await cast(port, cleanups);
  const { alice, bob, carol } = party;
  createGroup(alice, `<entry uri="${bob.gruu}" cp:copyControl="to"/>${CAROL}`);
  const [toBob, toCarol] = await Promise.all([bob.peer.request('INVITE'), carol.peer.request('INVITE')]);
  await accept(bob, toBob);
  const { focus, answer } = await created(alice);
  await accept(carol, toCarol);
  const media = {
    alice: msrp('alice', answer.body, cleanups),
    bob: msrp('bob', descriptionIn(toBob), cleanups),
    carol: msrp('carol', descriptionIn(toCarol), cleanups),
  };
  for (const client of Object.values(media)) await client.until(/MSRP open0001 200/);
  return { party, focus, sessions: { alice: answer, bob: toBob, carol: toCarol }, ...media };
}

/** A member that comes again. @returns its media. */
export async function rejoin(
  phone: Phone,
  focus: string,
  cleanups: (() => unknown)[],
): Promise<{ answer: SipResponse; media: MsrpClient }> {
  joinGroup(phone, focus);
  const answer = await phone.peer.response(200);
  if (answer.status !== 200) throw new Error(`joining was refused with ${answer.status}`);
  acknowledge(phone, answer);
  return { answer, media: msrp(phone.user, answer.body, cleanups) };
}

export function msrp(name: string, description: Uint8Array, cleanups: (() => unknown)[]): MsrpClient {
  const client = new MsrpClient(name, description);
  cleanups.push(() => client.close());
  return client;
}
