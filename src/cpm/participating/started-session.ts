import { invitedService } from '../../core/cpm-invitation.js';
import type { ServiceCall } from '../../core/service.js';
import type { SipRequest, SipResponse } from '../../sip/message/message.js';
import type { LegPair } from './session-legs.js';
import type { StartedSession } from './session-records.js';
import { sessionInterval } from './session-timer.js';

export interface AnswerSeen {
  /** Whether the media relay has the session. */
  readonly inPath: boolean;
  readonly calleeTag: string | undefined;
  /** GRUU of the caller's device, where it is a user's of ours and has one. */
  readonly callerDevice: string | undefined;
  /** This process, when it holds an end of the session. */
  readonly holder: string | undefined;
}

/** The key of a session in the records. */
export const sessionId = (request: SipRequest): string => `${request.callId}\t${request.fromTag ?? ''}`;

/** What the function of one user knows of a session when its 2xx passes. */
export function startedSession(
  { request, response, sessionCase, servedUser, set }: ServiceCall,
  answer: SipResponse,
  { inPath, calleeTag, callerDevice, holder }: AnswerSeen,
): StartedSession {
  const { headers } = request;
  const originating = sessionCase === 'originating';
  return {
    id: sessionId(request),
    service: headers.get('P-Asserted-Service') ?? invitedService(request)!,
    caller: {
      user: callerOf(request),
      device: callerDevice ?? request.contacts[0]?.uriText,
      set: originating ? set : undefined,
    },
    callee: {
      user: originating ? request.to.uriText : servedUser,
      device: answer.contacts[0]?.uriText,
      set: originating ? undefined : set,
    },
    conversationId: headers.get('Conversation-ID'),
    contributionId: headers.get('Contribution-ID'),
    inReplyTo: headers.get('InReplyTo-Contribution-ID'),
    mediaPath: inPath,
    // in the media path each leg has a timer of its own, and its end is told
    interval: inPath ? undefined : sessionInterval(answer),
    calleeTag,
    ...(holder !== undefined && { holder }),
    ...(inPath && { pairs: [legsOf(request, response.tag, answer)] }),
    recordRoute: answer.headers.lines('Record-Route'),
  };
}

/** The legs of a session that the media relay has joined. @param answer of the far one, before it crosses. */
function legsOf(request: SipRequest, tag: string, answer: SipResponse): LegPair {
  return {
    near: { callId: request.callId, localTag: tag, remoteTag: request.fromTag ?? '' },
    far: { callId: answer.callId, localTag: answer.fromTag ?? '', remoteTag: answer.toTag ?? '' },
  };
}

const callerOf = (request: SipRequest): string =>
  (request.addresses('P-Asserted-Identity')[0] ?? request.from).uriText;
