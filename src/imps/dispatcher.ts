import { clientCapabilityRequest } from './access/capabilities.js';
import { serviceRequest } from './access/functions.js';
import {
  keepAliveRequest,
  logoutAnswer,
  logoutRequest,
  serviceProviderInfo,
} from './access/session-primitives.js';
import type { Transaction } from './codec/envelope.js';
import { child, numberOf, type Element } from './codec/element.js';
import type { Handler, ImpsContext } from './context.js';
import { delivered } from './delivery/courier.js';
import { afterServices } from './lifecycle.js';
import { blockEntityRequest, getBlockedListRequest } from './services/access-lists.js';
import { createAttributeList, deleteAttributeList, getAttributeList } from './services/attribute-lists.js';
import {
  createListRequest,
  deleteListRequest,
  getListRequest,
  listManageRequest,
} from './services/contact-lists.js';
import { extendConversation } from './services/extended-conversations.js';
import { subscribeNotification, unsubscribeNotification } from './services/general-notifications.js';
import { getMap } from './services/get-map.js';
import { getJoinedUsers, joinGroup, leaveGroup, subscribeGroupNotice } from './services/group-join.js';
import {
  addGroupMembers,
  getGroupMembers,
  memberAccess,
  rejectList,
  removeGroupMembers,
} from './services/group-members.js';
import { createGroup, deleteGroup, getGroupProps, setGroupProps } from './services/groups.js';
import { cancelInvite, inviteRequest, inviteUserResponse } from './services/invitations.js';
import {
  forwardMessage,
  getMessage,
  getMessageList,
  messageDelivered,
  rejectMessage,
  sendMessage,
  setDeliveryMethod,
} from './services/messages.js';
import {
  cancelAuth,
  getPresence,
  getReactiveAuthStatus,
  getWatcherList,
  presenceAuthUser,
  subscribePresence,
  unsubscribePresence,
  updatePresence,
} from './services/presence.js';
import { getPublicProfile, updatePublicProfile } from './services/public-profiles.js';
import { searchRequest, stopSearch } from './services/search.js';
import { shown, systemMessageUser } from './services/system-messages.js';
import { verifyId } from './services/verify-id.js';
import type { SessionRecord } from './state/records.js';
import type { StatusCode } from './status.js';
import { byName } from './vocabulary/by-name.js';
import { covers, type Service } from './vocabulary/functions.js';
import type { CspVersion } from './vocabulary/versions.js';

interface Route {
  readonly handler: Handler;
  /** What service negotiation must have granted; undefined for what belongs to the session itself. */
  readonly service: Service | undefined;
  /** Whether it changes anything, so that a repeat must not do it again. */
  readonly changes: boolean;
  /** The refusal that means success when a crash kept the answer of the time that did the work. */
  readonly doneBefore?: StatusCode | undefined;
  /** The session is over then: what its repeat is answered. */
  readonly ending?: ((version: CspVersion) => Element) | undefined;
}

const read = (handler: Handler, service?: Service): Route => ({ handler, service, changes: false });
const write = (handler: Handler, service?: Service, doneBefore?: StatusCode): Route => ({
  handler,
  service,
  changes: true,
  doneBefore,
});

/** Which handler serves which request of a session; any other primitive is answered 506. */
export const routes: Readonly<Record<string, Route>> = byName({
  'Logout-Request': { ...read(logoutRequest), ending: logoutAnswer },
  'KeepAlive-Request': read(keepAliveRequest),
  'GetSPInfo-Request': read(
    async (context, { primitive }) => serviceProviderInfo(context, primitive),
    'GETSPI',
  ),
  'Service-Request': write(async (context, request) => {
    const answer = await serviceRequest(context, request);
    await afterServices(context, request.session.id);
    return answer;
  }),
  'ClientCapability-Request': write(clientCapabilityRequest),
  'SystemMessage-User': write(systemMessageUser),
  'SubscribeNotification-Request': write(subscribeNotification),
  'UnsubscribeNotification-Request': write(unsubscribeNotification),
  'GetPublicProfile-Request': read(getPublicProfile, 'FundamentalFeat'),
  'UpdatePublicProfile-Request': write(updatePublicProfile, 'FundamentalFeat'),
  'Search-Request': write(searchRequest, 'SRCH'),
  'StopSearch-Request': write(stopSearch, 'STSRC', 424),
  'Invite-Request': write(inviteRequest, 'INVIT'),
  'InviteUser-Response': write(inviteUserResponse, 'INVIT', 423),
  'CancelInvite-Request': write(cancelInvite, 'CAINV', 423),
  'VerifyID-Request': read(verifyId, 'VRID'),
  'GetMap-Request': read(getMap, 'GETMAP'),
  'GetList-Request': read(getListRequest, 'GCLI'),
  'CreateList-Request': write(createListRequest, 'CCLI', 701),
  'DeleteList-Request': write(deleteListRequest, 'DCLI', 700),
  'ListManage-Request': write(listManageRequest, 'MCLS'),
  'CreateAttributeList-Request': write(createAttributeList, 'CALI'),
  'DeleteAttributeList-Request': write(deleteAttributeList, 'DALI'),
  'GetAttributeList-Request': read(getAttributeList, 'GALS'),
  'SubscribePresence-Request': write(subscribePresence, 'PresenceFeat'),
  'UnsubscribePresence-Request': write(unsubscribePresence, 'PresenceFeat'),
  'GetWatcherList-Request': read(getWatcherList, 'GETWL'),
  'GetPresence-Request': read(getPresence, 'GETPR'),
  'UpdatePresence-Request': write(updatePresence, 'UPDPR'),
  'PresenceAuth-User': write(presenceAuthUser, 'REACT'),
  'CancelAuth-Request': write(cancelAuth, 'CAAUT'),
  'GetReactiveAuthStatus-Request': read(getReactiveAuthStatus, 'GETAUT'),
  'SendMessage-Request': write(sendMessage, 'IMFeat'),
  'SetDeliveryMethod-Request': write(setDeliveryMethod, 'SETD'),
  'GetMessageList-Request': read(getMessageList, 'GETLM'),
  'RejectMessage-Request': write(rejectMessage, 'REJCM'),
  'GetMessage-Request': read(getMessage, 'GETM'),
  MessageDelivered: write(messageDelivered, 'IMFeat'),
  'ForwardMessage-Request': write(forwardMessage, 'FWMSG'),
  'ExtendConversation-Request': write(extendConversation, 'EXCON', 807),
  'GetBlockedList-Request': read(getBlockedListRequest, 'GLBLU'),
  'BlockEntity-Request': write(blockEntityRequest, 'BLENT'),
  'CreateGroup-Request': write(createGroup, 'CREAG', 801),
  'DeleteGroup-Request': write(deleteGroup, 'DELGR', 800),
  'JoinGroup-Request': write(joinGroup, 'GroupFeat'),
  'LeaveGroup-Request': write(leaveGroup, 'GroupFeat'),
  'GetGroupMembers-Request': read(getGroupMembers, 'GETGM'),
  'GetJoinedUsers-Request': read(getJoinedUsers, 'GETJU'),
  'AddGroupMembers-Request': write(addGroupMembers, 'ADDGM'),
  'RemoveGroupMembers-Request': write(removeGroupMembers, 'RMVGM'),
  'MemberAccess-Request': write(memberAccess, 'MBRAC'),
  'GetGroupProps-Request': read(getGroupProps, 'GETGP'),
  'SetGroupProps-Request': write(setGroupProps, 'SETGP'),
  'RejectList-Request': write(rejectList, 'REJEC'),
  'SubscribeGroupNotice-Request': write(subscribeGroupNotice, 'SUBGCN'),
});

/** Whether service negotiation lets a session make a request, by its name. */
export function agreed({ functions, version }: SessionRecord, primitive: string): boolean {
  const service = routes[primitive]?.service;
  return service === undefined || covers(functions, version, service);
}

/**
 * The client answered a request of the server, under its Transaction-ID.
 * @returns a Status for the answers that are themselves answered
 */
export async function answered(
  context: ImpsContext,
  session: SessionRecord,
  { id, primitive }: Transaction,
): Promise<Element | undefined> {
  if (!primitive) return undefined;
  // an answer that is a request in another coat: some clients send it in response mode
  const route = primitive.name === 'Status' ? undefined : routes[primitive.name];
  if (route && (primitive.name === 'MessageDelivered' || primitive.name === 'PresenceAuth-User')) {
    await context.outbox.remove(session.id, id);
    const request = {
      session,
      version: session.version,
      transactionId: id,
      primitive,
      origin: { remoteAddress: session.remoteAddress, msisdn: undefined },
      seed: context.ids.next(),
    };
    await route.handler(context, request);
    return undefined;
  }
  const waiting = await context.outbox.remove(session.id, id);
  if (!waiting || !succeeded(primitive)) return undefined;
  // a client that acknowledges a pushed message with a mere Status has it all the same
  if (waiting.messageId !== undefined && !waiting.announced)
    await delivered(context, session, waiting.messageId);
  if (waiting.primitive?.name === 'SystemMessage-Request') await shown(context, session.user, id);
  return undefined;
}

const succeeded = (primitive: Element): boolean => {
  const code = numberOf(child(primitive, 'Result'), 'Code') ?? 0;
  return code >= 200 && code < 300;
};
