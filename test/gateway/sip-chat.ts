import { cpmServices } from '../../src/identity/cpm-services.js';
import type { MsrpEndpoint } from '../../src/msrp/session/index.js';
import { MsrpNegotiation, wholeMessages } from '../../src/msrp/session/index.js';
import { RESOURCE_LISTS_TYPE } from '../../src/cpm/controlling/recipient-list.js';
import { buildMultipart } from '../../src/sip/message/multipart.js';
import { descriptionIn, FACTORY } from '../tools/group-party.js';
import type { HeaderMap } from '../../src/sip/message/headers.js';
import type { SipRequest, SipResponse } from '../../src/sip/message/message.js';
import { ALICE, device, SESSION } from '../cpm/participating/session-world.js';
import { startEndpoint } from '../msrp/tools/endpoints.js';
import type { Phone } from '../tools/phone.js';

/** Contact parameters of a SIP device that speaks CPM sessions and messages. */
export const cpmDevice = device(ALICE, [cpmServices.message, cpmServices.session, cpmServices.largeMessage]);

/** The same with an Instance ID of its own. @param number a digit */
export const numberedDevice = (number: number): string =>
  cpmDevice.replace('111111', String(number).repeat(6));

/** A message as clients write it into a session. */
export const chat = (
  id: string,
  text: string,
  { asks = 'positive-delivery', type = 'text/plain' }: { asks?: string; type?: string } = {},
): string =>
  [
    'From: <sip:anonymous@anonymous.invalid>',
    'To: <sip:anonymous@anonymous.invalid>',
    'DateTime: 2026-01-01T00:00:00Z',
    'NS: imdn <urn:ietf:params:imdn>',
    `imdn.Message-ID: ${id}`,
    ...(asks === '' ? [] : [`imdn.Disposition-Notification: ${asks}`]),
    '',
    `Content-Type: ${type}`,
    '',
    text,
  ].join('\r\n');

/** The end of a SIP device in a CPM session: its dialog over UDP, its MSRP over TCP. */
export class SipChat {
  /** What messages are answered with. */
  status = 200;
  /** Whole messages that came, as message/cpim. */
  readonly heard: string[] = [];
  readonly #phone: Phone;
  readonly #media: MsrpNegotiation;
  #inside: { readonly uri: string; readonly headers: HeaderMap } | undefined;

  /** Its MSRP port. */
  readonly port: number;

  private constructor(phone: Phone, endpoint: MsrpEndpoint) {
    this.#phone = phone;
    this.port = endpoint.listeners[0]!.port;
    const session = endpoint.createSession({
      receiver: wholeMessages(10_000_000, ({ octets }) => {
        this.heard.push(octets.toString());
        return this.status;
      }),
    });
    this.#media = new MsrpNegotiation(session, {
      acceptTypes: ['message/cpim'],
      acceptWrappedTypes: ['*'],
      chatroom: ['nickname', 'private-messages'],
      behindNat: true,
    });
  }

  static async of(phone: Phone): Promise<SipChat> {
    return new SipChat(phone, (await startEndpoint()).endpoint);
  }

  /** Invites somebody. @returns the final response; a 2xx is acknowledged and its description taken. */
  async invite(uri: string, headers: HeaderMap = {}): Promise<SipResponse> {
    const callId = this.#phone.send('INVITE', uri, { ...SESSION, ...headers }, this.#media.offer());
    return this.#established(callId);
  }

  /** Makes a group with these entries of the recipient list. */
  async createGroup(entries: readonly string[], contribution: string): Promise<SipResponse> {
    const list = entries.map((entry) => `<entry uri="${entry}" cp:copyControl="to"/>`).join('');
    const { contentType, body } = buildMultipart([
      { headers: { 'Content-Type': 'application/sdp' }, body: this.#media.offer() },
      {
        headers: { 'Content-Type': RESOURCE_LISTS_TYPE, 'Content-Disposition': 'recipient-list' },
        body: `<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists" xmlns:cp="urn:ietf:params:xml:ns:copycontrol"><list>${list}</list></resource-lists>`,
      },
    ]);
    const callId = this.#phone.send(
      'INVITE',
      FACTORY,
      {
        ...SESSION,
        'P-Preferred-Service': cpmServices.groupSession,
        Require: 'recipient-list-invite',
        Subject: 'Trip planning',
        'Contribution-ID': contribution,
        'Content-Type': contentType,
      },
      body.toString(),
    );
    return this.#established(callId);
  }

  async #established(callId: string): Promise<SipResponse> {
    let answer = await this.#phone.peer.response(200);
    // a busy server may have sent the refusal before this one again
    while (answer.callId !== callId) answer = await this.#phone.peer.response(200);
    if (answer.status !== 200) {
      this.#phone.send('ACK', answer.get('To')!.replace(/^.*<|>.*$/g, ''), {
        Via: answer.headers.lines('Via')[0]!,
        From: answer.get('From'),
        To: answer.get('To'),
        'Call-ID': callId,
        CSeq: `${answer.cseq.number} ACK`,
      });
      return answer;
    }
    this.#inside = {
      uri: answer.contacts[0]!.uriText,
      headers: {
        Route: answer.headers.list('Record-Route').reverse(),
        From: answer.get('From'),
        To: answer.get('To'),
        'Call-ID': answer.callId,
      },
    };
    this.#phone.send('ACK', this.#inside.uri, {
      ...this.#inside.headers,
      CSeq: `${answer.cseq.number} ACK`,
    });
    this.#media.accept(answer.body);
    return answer;
  }

  /** Answers the next invitation. */
  async answer(): Promise<SipRequest> {
    const invite = await this.#phone.peer.request('INVITE');
    this.#phone.peer.answer(
      invite,
      200,
      { Contact: `<${this.#phone.contact}>`, 'Content-Type': 'application/sdp' },
      `tag-${this.#phone.user}`,
      this.#media.answer(descriptionIn(invite)),
    );
    await this.#phone.peer.request('ACK');
    this.#inside = {
      uri: invite.contacts[0]!.uriText,
      headers: {
        Route: invite.headers.list('Record-Route'),
        From: `${invite.get('To')};tag=tag-${this.#phone.user}`,
        To: invite.get('From'),
        'Call-ID': invite.callId,
      },
    };
    return invite;
  }

  /** @returns the status of the answer (RFC 4975 §10). */
  say(cpim: string, contentType = 'message/cpim'): Promise<number> {
    return this.#media.session.send({ contentType, content: Buffer.from(cpim) }).sent;
  }

  async bye(reason?: string): Promise<SipResponse> {
    const { uri, headers } = this.#inside!;
    return this.#phone.ask('BYE', uri, { ...headers, Reason: reason });
  }

  /** Asks the focus for a nickname. @returns the status */
  nickname(name: string): Promise<number> {
    return this.#media.session.ask('NICKNAME', `Use-Nickname: "${name}"\r\n`);
  }

  /** The phone behind it, for what comes by SIP. */
  get phone(): Phone {
    return this.#phone;
  }
}
