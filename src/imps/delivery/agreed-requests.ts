import type { SessionRecord } from '../state/records.js';
import { covers, type Service } from '../vocabulary/functions.js';

/** What must have been granted for a request of the server; others belong to the session itself. */
const services: Readonly<Record<string, Service>> = {
  'InviteUser-Request': 'INVIT',
  'Invite-Response': 'INVIT',
  'CancelInviteUser-Request': 'CAINV',
  'PresenceNotification-Request': 'PresenceFeat',
  'PresenceAuth-Request': 'REACT',
  'DeliveryReport-Request': 'MDELIV',
  NewMessage: 'IMFeat',
  MessageNotification: 'IMFeat',
  GroupChangeNotice: 'GRCHN',
  'LeaveGroup-Response': 'GroupFeat',
};

/** Whether service negotiation lets a session be sent a request of the server, by its name. */
export function agreedRequest({ functions, version }: SessionRecord, name: string): boolean {
  const service = services[name];
  return service === undefined || covers(functions, version, service);
}
