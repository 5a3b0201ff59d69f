import type { Aor } from '../identity/aor.js';
import type { HeaderMap } from '../sip/message/headers.js';
import { quote } from '../sip/message/lexer.js';
import { isEmergency } from './emergency.js';
import type { Gruus } from './gruus.js';
import type { RegisterCommand } from './register-command.js';
import type { Binding, InstanceState, Registration } from './registration.js';

export interface ResponseContext {
  readonly aor: Aor;
  /** The implicit registration set, default identity first. */
  readonly set: readonly Aor[];
  readonly now: number;
  /** Undefined when GRUUs are switched off. */
  readonly gruus: Gruus | undefined;
  readonly serviceRoute: readonly string[];
  /** Octets that the contacts may have together, where the way to the device is narrow. */
  readonly room?: number | undefined;
}

/**
 * Header fields of the 200: all bindings of the identity, each complete (RFC 3261 §10.3 step 8, RFC 5627 §5.3). Without room for that
 * the bindings of the request itself come complete, the others without their parameters, and as many of them as fit.
 */
export function registerResponse(
  registration: Registration,
  command: RegisterCommand,
  context: ResponseContext,
): HeaderMap {
  const gruus = command.wantsGruu ? context.gruus : undefined;
  const contacts: Contact[] = [];
  let longest = 0;
  for (const binding of registration.bindings) {
    if (binding.aor !== context.aor) continue;
    const seconds = Math.ceil((binding.expiresAt - context.now) / 1000);
    if (seconds > longest) longest = seconds;
    const state = gruus && instanceOf(registration, binding);
    const name = binding.deviceName === undefined ? '' : `${quote(binding.deviceName)} `;
    contacts.push({
      whole: `${name}<${binding.contact}>${binding.params}${state ? gruuParams(gruus, state) : ''};expires=${seconds}`,
      bare: `<${binding.contact}>;expires=${seconds}`,
      own: binding.callId === command.callId,
    });
  }
  return {
    Contact: contacts.length > 0 ? fitting(contacts, context.room) : undefined,
    Expires: command.kind === 'query' ? undefined : longest,
    Path: command.path.length > 0 ? command.path : undefined,
    'P-Associated-URI': associatedUris(context.set),
    Require: command.outbound ? 'outbound' : undefined,
    'Service-Route': command.kind === 'query' ? undefined : context.serviceRoute,
  };
}

interface Contact {
  readonly whole: string;
  readonly bare: string;
  /** Of the device that asks. */
  readonly own: boolean;
}

/** Octets of a header line besides its value. */
const LINE = 'Contact: \r\n'.length;

function fitting(contacts: readonly Contact[], room = Infinity): string[] {
  const size = (text: string): number => Buffer.byteLength(text) + LINE;
  const all = contacts.map(({ whole }) => whole);
  if (room === Infinity || all.reduce((sum, text) => sum + size(text), 0) <= room) return all;
  let left = room;
  for (const { own, whole } of contacts) if (own) left -= size(whole);
  return contacts.flatMap(({ own, whole, bare }) => {
    if (own) return [whole];
    left -= size(bare);
    return left >= 0 ? [bare] : [];
  });
}

function associatedUris(set: readonly Aor[]): string {
  return set.length === 1 ? `<${set[0]!}>` : set.map((aor) => `<${aor}>`).join(', ');
}

function instanceOf(registration: Registration, binding: Binding): InstanceState | undefined {
  if (binding.instanceKey === undefined || isEmergency(binding.contact)) return undefined;
  return registration.instances.find(
    (state) => state.instanceKey === binding.instanceKey && state.aor === binding.aor,
  );
}

function gruuParams(gruus: Gruus, state: InstanceState): string {
  if (!state.aor.startsWith('sip:')) return ''; // RFC 5627 §3.1: a GRUU is a SIP URI
  return `;pub-gruu="${gruus.publicOf(state)}";temp-gruu="${gruus.mint(state)}"`;
}
