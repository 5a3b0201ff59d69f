/** The door of this folder: what the gateway, the application and the tools use. */
export { createImpsServer } from './server.js';
export type { ImpsConnections, ImpsServer, ImpsServerOptions, IncomingMessage } from './server.js';
export { impsConfig, type ImpsConfig, type ImpsConfigInput } from './config.js';
export type {
  ImpsPorts,
  GroupBridge,
  MessageRouter,
  Pager,
  PresenceSource,
  RouteVerdict,
  SessionObserver,
  UserDirectory,
} from './ports.js';
export { clientKey, parseClientIdFields, type ClientId } from './address/client-id.js';
export { domainOf, userPartOf } from './address/wv-address.js';
export {
  formatWvAddress,
  parseResourceId,
  parseUserId,
  parseWvAddress,
  type ResourceId,
  type UserId,
} from './address/wv-address.js';
export { codeOf, CspClient, message, SessionEnded } from './client/csp-client.js';
export { textCoding, wbxmlCoding, xmlCoding } from './codec/coding.js';
export { child, childrenOf, element, textOf, type Element } from './codec/element.js';
export type { MessageRecord, SessionRecord, UserRecord } from './state/records.js';
export { countOf } from './state/count.js';
export { statusTitles, type StatusCode } from './status.js';
export type { GroupEntry } from './services/group-import.js';
export type { Transfer, Transfers } from './services/transfers.js';
export type { GroupView, OutsideGroups } from './services/outside-groups.js';
export type { InvitationRecord } from './services/invitations.js';
export type { Address } from './delivery/routing.js';
export { agreedRequest } from './delivery/agreed-requests.js';
export { takesMessages } from './delivery/courier.js';
export type { SentSystemMessage, SystemMessage } from './services/system-messages.js';
