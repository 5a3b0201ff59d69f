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
}

/** Header fields of the 200: all bindings of the identity, each complete (RFC 3261 §10.3 step 8, RFC 5627 §5.3). */
export function registerResponse(
  registration: Registration,
  command: RegisterCommand,
  context: ResponseContext,
): HeaderMap {
  const gruus = command.wantsGruu ? context.gruus : undefined;
  const contacts: string[] = [];
  let longest = 0;
  for (const binding of registration.bindings) {
    if (binding.aor !== context.aor) continue;
    const seconds = Math.ceil((binding.expiresAt - context.now) / 1000);
    if (seconds > longest) longest = seconds;
    const state = gruus && instanceOf(registration, binding);
    const name = binding.deviceName === undefined ? '' : `${quote(binding.deviceName)} `;
    contacts.push(
      `${name}<${binding.contact}>${binding.params}${state ? gruuParams(gruus, state) : ''};expires=${seconds}`,
    );
  }
  return {
    Contact: contacts.length > 0 ? contacts : undefined,
    Expires: command.kind === 'query' ? undefined : longest,
    Path: command.path.length > 0 ? command.path : undefined,
    'P-Associated-URI': associatedUris(context.set),
    Require: command.outbound ? 'outbound' : undefined,
    'Service-Route': command.kind === 'query' ? undefined : context.serviceRoute,
  };
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
