import { createHash } from 'node:crypto';
import { parseWildcard, representativeOf } from '../identity/wildcard.js';
import { isEmergency } from '../registrar/emergency.js';
import type { Gruus } from '../registrar/gruus.js';
import type {
  Binding,
  BindingChange,
  ContactEvent,
  InstanceState,
  Registration,
} from '../registrar/registration.js';
import { parseParams } from '../sip/message/lexer.js';

export const REGINFO_TYPE = 'application/reginfo+xml';

/** What one document tells: the registration of one implicit set, as one subscriber may see it. */
export interface ReginfoInput {
  /** Identities of the set, default first, barred ones left out. */
  readonly identities: readonly string[];
  /** Wildcarded identities of the set; none when absent. */
  readonly wildcards?: readonly string[] | undefined;
  readonly registration: Registration;
  /** What happened since the last document; contacts that went are told once more. */
  readonly changes: readonly BindingChange[];
  /** Number of the document within its subscription, from 0. */
  readonly version: number;
  /** `partial` holds the contacts of {@link changes} alone (RFC 3680 §5.1). */
  readonly state: 'full' | 'partial';
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Undefined when GRUUs are switched off. */
  readonly gruus: Gruus | undefined;
  /** Temporary GRUUs are only for those who may register the identity themselves (RFC 5628 §5). */
  readonly withTemporary: boolean;
}

/**
 * A reginfo document (RFC 3680 §5) with the GRUUs of RFC 5628 and all contact parameters: one registration for each
 * identity of the set, with the same contacts, which siblings of the identity registered explicitly have as `created`.
 */
export function writeReginfo(input: ReginfoInput): string {
  const { version, state, identities, wildcards = [] } = input;
  const extension = wildcards.length > 0 ? ` xmlns:ere="${NS_WILDCARD}"` : '';
  let xml = '<?xml version="1.0" encoding="UTF-8"?>\n';
  xml += `<reginfo xmlns="${NS_REGINFO}" xmlns:gr="${NS_GRUU}"${extension} version="${version}" state="${state}">\n`;
  for (const aor of identities) xml += registrationElement(aor, input);
  for (const uri of wildcards)
    xml += registrationElement(representativeOf(parseWildcard(uri)) ?? NO_REPRESENTATIVE, input, uri);
  return `${xml}</reginfo>\n`;
}

export const NS_REGINFO = 'urn:ietf:params:xml:ns:reginfo';
export const NS_GRUU = 'urn:ietf:params:xml:ns:gruuinfo';
/** 3GPP TS 24.229 §7.10.2. */
export const NS_WILDCARD = 'urn:3gpp:ns:extRegExp:1.0';

/** A registration of a wildcarded identity has any `aor`; this is one that nobody has. */
const NO_REPRESENTATIVE = 'sip:wildcard@invalid';

/** @param wildcard the wildcarded identity whose representative `aor` is. */
function registrationElement(aor: string, input: ReginfoInput, wildcard?: string): string {
  const { registration, changes, state } = input;
  const contacts: { binding: Binding; event: ContactEvent; gone: boolean }[] = [];
  for (const binding of registration.bindings) {
    const change = changes.find((one) => one.binding.id === binding.id);
    if (state === 'full' || change)
      contacts.push({ binding, event: change?.event ?? lastEvent(binding), gone: false });
  }
  for (const { binding, event } of changes) {
    if (!registration.bindings.some(({ id }) => id === binding.id))
      contacts.push({ binding, event, gone: true });
  }
  const active = registration.bindings.length > 0;
  const life = active ? 'active' : contacts.length > 0 ? 'terminated' : 'init';
  const name = wildcard ?? aor;
  let xml = `  <registration aor="${escape(aor)}" id="${nameOf(name)}" state="${life}">\n`;
  for (const { binding, event, gone } of contacts) {
    const own = gone || wildcard !== undefined ? '' : gruuElements(aor, binding, input);
    xml += contactElement(name, binding, event, gone, own, input);
  }
  if (wildcard !== undefined)
    xml += `    <ere:wildcardedIdentity>${escape(wildcard)}</ere:wildcardedIdentity>\n`;
  return `${xml}  </registration>\n`;
}

/** Of a contact that did not change since the last document: what made it what it is. */
export const lastEvent = ({ registeredAt, refreshedAt }: Binding): ContactEvent =>
  refreshedAt > registeredAt ? 'refreshed' : 'registered';

/** Comes again after so many seconds: the attribute that `probation` needs (RFC 3680 §5.3). */
const RETRY_AFTER = 60;

function contactElement(
  aor: string,
  binding: Binding,
  event: ContactEvent,
  gone: boolean,
  gruuXml: string,
  { now }: ReginfoInput,
): string {
  const explicit = binding.aor === aor;
  const id = explicit ? binding.id : `${binding.id}-${nameOf(aor)}`;
  const shown = !explicit && event === 'registered' ? 'created' : event;
  const attributes = [
    ['id', id],
    ['state', gone ? 'terminated' : 'active'],
    ['event', shown],
    ['expires', gone ? undefined : Math.max(0, Math.ceil((binding.expiresAt - now) / 1000))],
    ['retry-after', event === 'probation' ? RETRY_AFTER : undefined],
    ['duration-registered', Math.max(0, Math.floor((now - binding.registeredAt) / 1000))],
    ['q', binding.q === 1 ? undefined : binding.q],
    ['callid', binding.callId],
    ['cseq', binding.cseq],
  ] as const;
  let xml = '    <contact';
  for (const [name, value] of attributes)
    if (value !== undefined) xml += ` ${name}="${escape(String(value))}"`;
  xml += `>\n      <uri>${escape(binding.contact)}</uri>\n`;
  if (binding.deviceName !== undefined)
    xml += `      <display-name>${escape(binding.deviceName)}</display-name>\n`;
  for (const [name, value] of parseParams(binding.params, 0, 'Contact')) {
    if (name !== 'q')
      xml += `      <unknown-param name="${escape(name)}">${escape(value ?? '')}</unknown-param>\n`;
  }
  return `${xml}${gruuXml}    </contact>\n`;
}

/** The public GRUU of the device for that identity; a temporary one for the identity that was registered alone. */
function gruuElements(aor: string, binding: Binding, input: ReginfoInput): string {
  const { registration, gruus, withTemporary } = input;
  const state = gruus && stateOf(registration, binding);
  if (!gruus || !state || !aor.startsWith('sip:')) return '';
  let xml = `      <gr:pub-gruu uri="${escape(gruus.publicOf(state, aor))}"/>\n`;
  if (withTemporary && state.aor === aor)
    xml += `      <gr:temp-gruu uri="${escape(gruus.mint(state))}" first-cseq="${state.firstCSeq}"/>\n`;
  return xml;
}

/** What is known of a binding's device beyond the binding; nothing of one that is registered for an emergency, which has no GRUU. */
export function stateOf({ instances }: Registration, binding: Binding): InstanceState | undefined {
  if (isEmergency(binding.contact)) return undefined;
  return instances.find(({ instanceKey, aor }) => instanceKey === binding.instanceKey && aor === binding.aor);
}

/** Constant and unique within a subscription (RFC 3680 §5.2). */
const nameOf = (aor: string): string => createHash('sha1').update(aor).digest('hex').slice(0, 12);

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Text as XML holds it; what XML 1.0 cannot hold at all becomes U+FFFD. */
function escape(text: string): string {
  return text.replace(/[&<>"]/g, (character) => entities[character]!).replace(FORBIDDEN, '\ufffd');
}

/** What XML 1.0 §2.2 leaves out. */
const FORBIDDEN = /[^\P{Cc}\t\n\r]|\p{Surrogate}|[\ufffe\uffff]/gu;
