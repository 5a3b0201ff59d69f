import { orNone } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import type { DeviceBody, NextOptions, ServiceCall } from '../../core/service.js';
import type { MsrpMedia } from '../../msrp/sdp/index.js';
import type { MsrpEndpoint } from '../../msrp/session/index.js';
import { FinalResponseError } from '../../sip/final-response-error.js';
import { SipResponse, type SipRequest } from '../../sip/message/message.js';
import type { Dialog, SipStack } from '../../sip/stack.js';
import type { DialogLegs } from './dialog-legs.js';
import { MediaPath, placeForContacts, type End, type MediaPathOptions } from './media-path.js';
import { descriptionIn, withDescription } from './offer.js';
import type { MediaRelay, RelayedSession } from './media-relay.js';
import type { Recordings } from '../recording/recordings.js';
import type { Passed } from './session-records.js';

export interface MsrpMediaRelayOptions {
  readonly stack: SipStack;
  readonly endpoint: MsrpEndpoint;
  /** Maps what names sessions. */
  readonly dialogs: DialogLegs;
  readonly trail: Trail;
  readonly log: Logger;
  /** Where messages are recorded, if anywhere. */
  readonly recordings?: Recordings | undefined;
}

interface Running {
  readonly uas: Dialog;
  readonly uac: Dialog;
  readonly path: MediaPath;
  /** Messages and octets that had passed when they were noted last. */
  noted: Passed;
}

/** Keeps the participating function in the media path of a session: a B2BUA whose legs each have an MSRP session of ours. */
export class MsrpMediaRelay implements MediaRelay {
  readonly #options: MsrpMediaRelayOptions;
  /** By their key in the session records. */
  readonly #running = new Map<string, Running>();
  /** Those that are being set up, by the session-id towards the callee. */
  readonly #settingUp = new Map<string, MediaPath>();
  /** Where {@link unnoted} goes on. */
  #round: Iterator<readonly [string, Running]> | undefined;
  /** What passed sessions that have ended. */
  readonly #past = { bytes: 0, messages: 0 };

  constructor(options: MsrpMediaRelayOptions) {
    this.#options = options;
  }

  isIn({ path }: MsrpMedia): boolean {
    return this.#options.endpoint.isOurs(path);
  }

  /** For metrics: what passed all sessions of this node, and how many there are. */
  get figures(): Passed & { readonly sessions: number } {
    let { bytes, messages } = this.#past;
    for (const { path } of this.#running.values()) {
      bytes += path.passed.bytes;
      messages += path.passed.messages;
    }
    return { sessions: this.#running.size, bytes, messages };
  }

  /** What passed a session of this node so far; undefined for others. */
  passed(session: string): Passed | undefined {
    return this.#running.get(session)?.path.passed;
  }

  /** Sessions through which something passed since they were given here, in turn. @param limit sessions that are looked at. */
  unnoted(limit: number): (readonly [session: string, passed: Passed])[] {
    const found: (readonly [string, Passed])[] = [];
    this.#round ??= this.#running.entries();
    for (let looked = 0; looked < limit; looked++) {
      const next = this.#round.next();
      if (next.done) {
        this.#round = undefined;
        break;
      }
      const [session, running] = next.value;
      const { passed } = running.path;
      if (passed.bytes === running.noted.bytes && passed.messages === running.noted.messages) continue;
      running.noted = passed;
      found.push([session, passed]);
    }
    return found;
  }

  /** Ends a session of which one end is gone, the other end first. @returns whether it is one of this node. */
  end(session: string, lost: 'caller' | 'callee'): boolean {
    const legs = this.#running.get(session);
    if (!legs) return false;
    const { log } = this.#options;
    (lost === 'caller' ? legs.uac : legs.uas)
      .destroy({ Reason: 'SIP;cause=480;text="Device gone"' })
      .catch((error: unknown) => log.info({ err: error }, 'the other side of a lost device was not told'));
    return true;
  }

  /** @throws ParleyError `msrp-limit`, `msrp-sdp-*`: the call is refused with its status. */
  async join(call: ServiceCall, observed: NextOptions, session: RelayedSession): Promise<void> {
    const { stack, endpoint, trail, log, dialogs } = this.#options;
    const legs: Dialog[] = [];
    const path = new MediaPath(endpoint, {
      observe: session.recorded ? this.#observer(call) : undefined,
      subject: call.servedUser,
      offer: session.offer,
      messageOctets: session.messageOctets,
      callee: placeForContacts(endpoint, session.calleeContacts),
      lost: (error) => {
        trail.record({
          code: 'session.media-lost',
          outcome: 'noted',
          clause: 'RFC 4975 §5.4',
          subject: call.servedUser,
          trace: call.request.callId,
          detail: error.message,
        });
        // the end of one leg ends the other
        legs[0]
          ?.destroy()
          .catch((failure: unknown) => log.info({ err: failure }, 'a lost session could not be ended'));
      },
    });
    const key = path.calleeSessionId;
    this.#settingUp.set(key, path);
    try {
      const { request, response } = call;
      const { uas, uac } = await stack.createB2BUA(request, response, {
        uri: request.uri,
        route: call.onward,
        editResponse: (answer) => observed.onResponse?.(answer),
        takesOver: async ({ status }) => (await session.refused?.(status)) === true,
        beforeCrossing: (inside) => {
          const judged = session.judge(inside);
          // what it names is named as the other end knows it
          const map = (): Promise<void> | undefined =>
            dialogs.concerns(inside) ? dialogs.map(inside) : undefined;
          return judged ? judged.then(map) : map();
        },
        crossBody: (message, toward) => crossed(path, message, toward === 'uac' ? 'uas' : 'uac'),
      });
      legs.push(uas, uac);
      this.#running.set(session.id, { uas, uac, path, noted: { bytes: 0, messages: 0 } });
      uas.onEnd(() => {
        this.#running.delete(session.id);
        path.close();
        this.#past.bytes += path.passed.bytes;
        this.#past.messages += path.passed.messages;
      });
    } catch (error) {
      path.close();
      // the caller has got the callee's answer, or gets another one
      if (!(error instanceof FinalResponseError)) throw error;
    } finally {
      this.#settingUp.delete(key);
    }
  }

  bodyFor(request: SipRequest, contact: string): DeviceBody | undefined {
    if (this.#settingUp.size === 0) return undefined;
    return orNone(() => {
      const description = descriptionIn(request);
      if (!description) return undefined;
      // most are not of ours and need not be read whole for that
      const sessionId = /^a=path:msrps?:\/\/[^/\s]+\/([^;\s]+)/m.exec(
        Buffer.from(description).toString('latin1'),
      );
      const own = this.#settingUp.get(sessionId?.[1] ?? '')?.offerFor(description, contact);
      return own && { ...own, body: withDescription(request.body, description, own.body) };
    });
  }

  #observer({ request, servedUser }: ServiceCall): MediaPathOptions['observe'] {
    const { recordings, trail } = this.#options;
    if (!recordings) {
      trail.record({
        code: 'cpm.recording-refused',
        outcome: 'refused',
        clause: 'OMA CPM §5.2.3',
        subject: servedUser,
        trace: request.callId,
        detail: 'no folder is configured',
      });
      return undefined;
    }
    const caller = (request.addresses('P-Asserted-Identity')[0] ?? request.from).uriText;
    const callee = request.to.uriText;
    const about = { session: request.callId, conversationId: request.headers.get('Conversation-ID') };
    return (message, from) =>
      recordings.observe(
        about,
        message,
        from === 'uas' ? { from: caller, to: callee } : { from: callee, to: caller },
      );
  }
}

/** The body of a message from an end as the other end gets it (RFC 3264 §5, RFC 3261 §13.2.1). */
function crossed(path: MediaPath, message: SipRequest | SipResponse, from: End): Uint8Array {
  const { body } = message;
  if (message instanceof SipResponse && message.status >= 300) return body;
  const description = descriptionIn(message);
  if (!description) return body;
  const answers = message instanceof SipResponse || message.method === 'ACK' || message.method === 'PRACK';
  const isAnswer = answers && path.awaitsAnswerOf(from);
  const ours = isAnswer ? path.answer(description, from, message.toTag) : path.offer(description, from);
  return withDescription(body, description, ours);
}
