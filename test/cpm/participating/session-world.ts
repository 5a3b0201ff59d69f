import { cpmServices } from '../../../src/identity/cpm-services.js';
import { referenceValue } from '../../../src/identity/feature-tags.js';
import type { HeaderMap } from '../../../src/sip/message/headers.js';
import type { SipRequest, SipResponse } from '../../../src/sip/message/message.js';
import type { RunningParley } from '../../tools/parley.js';
import type { Phone } from '../../tools/phone.js';

export const ALICE = 'urn:gsma:imei:35824005-111111-0';
export const BOB = 'urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e';
export const BOB2 = 'urn:uuid:7a6f1c1e-3d53-4d59-9c2c-4a7f9f8f2b11';

/** The Contact parameters of a device with its Instance ID and services. */
export const device = (urn: string, services: readonly string[] = [cpmServices.session]): string =>
  `;+sip.instance="<${urn}>";+g.3gpp.icsi-ref="${referenceValue(services)}"`;

/** An offer of MSRP. @param lines instead of, or beside, the usual attributes. */
export const offer = (lines: readonly string[] = ['a=path:msrp://127.0.0.1:20000/9fA1kq0Zr3;tcp']): string =>
  [
    'v=0',
    'o=alice 3990000001 3990000001 IN IP4 127.0.0.1',
    's=-',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    'm=message 20000 TCP/MSRP *',
    'a=setup:actpass',
    'a=accept-types:message/cpim',
    'a=accept-wrapped-types:text/plain message/imdn+xml',
    ...lines,
    '',
  ].join('\r\n');

export const SDP: HeaderMap = { 'Content-Type': 'application/sdp' };

export const SESSION: HeaderMap = {
  ...SDP,
  'P-Preferred-Service': cpmServices.session,
  'Accept-Contact': `*;+g.3gpp.icsi-ref="${referenceValue([cpmServices.session])}"`,
  Supported: 'timer, gruu',
};

export interface SessionView {
  readonly callId: string;
  readonly caller: { readonly user: string; readonly device: string };
  readonly callee: { readonly user: string; readonly device: string };
  readonly [name: string]: unknown;
}

/** The sessions that the API shows. */
export async function sessionsOf({ api }: RunningParley, query = ''): Promise<SessionView[]> {
  const answer = await fetch(`${api}/api/v1/sessions${query}`);
  return ((await answer.json()) as { sessions: SessionView[] }).sessions;
}

/** Changes settings of a user. @returns the HTTP status. */
export async function setPolicy({ api }: RunningParley, aor: string, settings: object): Promise<number> {
  const answer = await fetch(`${api}/api/v1/policies/${encodeURIComponent(aor)}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(settings),
  });
  return answer.status;
}

/** A session between two phones, as each of them knows it. */
export interface Session {
  readonly invite: SipRequest;
  readonly answer: SipResponse;
  /** What the caller, and the callee, put into a request inside the dialog. */
  readonly fromCaller: { readonly uri: string; readonly headers: HeaderMap };
  readonly fromCallee: { readonly uri: string; readonly headers: HeaderMap };
}

/** Sets a session up. @param headers of the INVITE, beside the usual ones. */
export async function establish(
  caller: Phone,
  callee: Phone,
  headers: HeaderMap = {},
  uri = callee.aor,
): Promise<Session> {
  caller.send('INVITE', uri, { ...SESSION, ...headers }, offer());
  const invite = await callee.answer('INVITE', 200, {});
  const answer = await caller.peer.response(200);
  if (answer.status !== 200) throw new Error(`INVITE got ${answer.status}`);
  const fromCaller = {
    uri: answer.contacts[0]!.uriText,
    headers: {
      Route: answer.headers.list('Record-Route').reverse(),
      From: answer.get('From'),
      To: answer.get('To'),
      'Call-ID': answer.callId,
    },
  };
  const fromCallee = {
    uri: invite.contacts[0]!.uriText,
    headers: {
      Route: invite.headers.list('Record-Route'),
      // its own, since a server in the media path gives each leg identifiers of its own
      From: `${invite.get('To')};tag=tag-${callee.user}`,
      To: invite.get('From'),
      'Call-ID': invite.callId,
    },
  };
  caller.send('ACK', fromCaller.uri, { ...fromCaller.headers, CSeq: `${answer.cseq.number} ACK` });
  await callee.peer.request('ACK');
  return { invite, answer, fromCaller, fromCallee };
}
