import { parseUri } from '../sip/message/uri.js';

/** Whether a contact is that of an emergency registration: its URI has `sos` (3GPP TS 24.229 §5.1.6.2). It gets no GRUU. */
export function isEmergency(contact: string): boolean {
  return contact.includes('sos') && parseUri(contact).params.has('sos');
}
