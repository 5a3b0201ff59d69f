import { randomUUID } from 'node:crypto';
import { ParleyError } from '../base/errors.js';
import { TEMPORARY_GRUU_GENERATIONS } from '../identity/temporary-gruu.js';
import { parseUri, sameUri } from '../sip/message/uri.js';
import { isEmergency } from './emergency.js';
import './errors.js';
import type { ContactRequest, RegisterCommand } from './register-command.js';
import type { Binding, BindingChange, FlowCallId, InstanceState, Registration } from './registration.js';

/** What the state function needs to know beside record and command. */
export interface ApplyContext {
  readonly aor: string;
  readonly privateId: string;
  readonly now: number;
  readonly maxContacts: number;
  /** `instance`: a device without reg-id has one binding, whatever its contact (3GPP TS 24.229); `contact`: one a contact URI (RFC 3261 §10.3). */
  readonly matching: 'instance' | 'contact';
  /** `gr` value of the instance with that URN. */
  gr(urn: string): string;
  /** Indexes for the temporary GRUUs of instances that were not there, by instance key, as far as some were allocated before. */
  readonly indexes: ReadonlyMap<string, number>;
}

export interface Applied {
  readonly registration: Registration;
  readonly changes: readonly BindingChange[];
  /** Instances that have no binding any more: their indexes are free again. */
  readonly gone: readonly InstanceState[];
}

/** Instances register for which no index was allocated: allocate these and apply again. */
export interface IndexesNeeded {
  readonly indexesNeeded: readonly string[];
}

export const emptyRegistration: Registration = { bindings: [], instances: [], away: [] };

/**
 * RFC 3261 §10.3 steps 6 to 8 with RFC 5626 §6 and RFC 5627 §5: what a REGISTER makes of a registration.
 * All contacts or none: an exception leaves everything as it was. Pure but for the identifiers of new bindings.
 * @throws ParleyError `register-out-of-order`, `register-too-many-contacts`
 */
export function applyRegister(
  before: Registration,
  command: RegisterCommand,
  context: ApplyContext,
): Applied | IndexesNeeded {
  const indexesNeeded: string[] = [];
  const lapsed = removeExpired(before, context.now);
  const changes: BindingChange[] = [...lapsed.changes];
  let bindings = [...lapsed.registration.bindings];
  let instances = lapsed.registration.instances;
  if (command.kind === 'remove-all') {
    const mine = bindings.filter((binding) => binding.aor === context.aor);
    for (const binding of mine) checkOrder(binding, command);
    changes.push(...mine.map((binding) => ({ event: 'unregistered' as const, binding })));
    bindings = bindings.filter((binding) => binding.aor !== context.aor);
  }
  for (const contact of command.contacts) {
    const index = indexOfBinding(bindings, contact, context);
    const existing = bindings[index];
    if (existing) checkOrder(existing, command);
    if (contact.expires === 0) {
      if (!existing) continue;
      bindings.splice(index, 1);
      changes.push({ event: 'unregistered', binding: existing });
      continue;
    }
    const binding = makeBinding(contact, command, context, existing);
    if (existing) bindings[index] = binding;
    else bindings.push(binding);
    changes.push({ event: existing ? 'refreshed' : 'registered', binding });
    if (contact.instance && !isEmergency(contact.uri))
      instances = nextGeneration(instances, contact, command, context, indexesNeeded);
  }
  if (bindings.length > context.maxContacts && bindings.length > before.bindings.length)
    throw new ParleyError('register-too-many-contacts');
  if (indexesNeeded.length > 0) return { indexesNeeded };
  const { registration, gone } = compose(lapsed.registration, instances, bindings);
  return { registration, changes, gone: lapsed.gone.length === 0 ? gone : [...lapsed.gone, ...gone] };
}

/** Takes out what has expired; an instance without bindings loses its temporary GRUUs (RFC 5627 §5.4). */
export function removeExpired(before: Registration, now: number): Applied {
  if (!before.bindings.some((binding) => binding.expiresAt <= now))
    return { registration: before, changes: [], gone: none };
  const expired = before.bindings.filter((binding) => binding.expiresAt <= now);
  return removeBindings(before, expired, 'expired');
}

/** Takes out chosen bindings, for the reason that watchers are told. */
export function removeBindings(
  before: Registration,
  gone: readonly Binding[],
  event: BindingChange['event'],
): Applied {
  const bindings = before.bindings.filter((binding) => !gone.includes(binding));
  const composed = compose(before, before.instances, bindings);
  return {
    registration: composed.registration,
    changes: gone.map((binding) => ({ event, binding })),
    gone: composed.gone,
  };
}

/** Gives bindings less time, so that their devices register again, and prove again who they are. */
export function shortenBindings(
  before: Registration,
  chosen: readonly Binding[],
  expiresAt: number,
): Applied {
  const changes: BindingChange[] = [];
  const bindings = before.bindings.map((binding) => {
    if (!chosen.includes(binding) || binding.expiresAt <= expiresAt) return binding;
    const shortened = { ...binding, expiresAt };
    changes.push({ event: 'shortened', binding: shortened });
    return shortened;
  });
  return { registration: { ...before, bindings }, changes, gone: none };
}

/** How many devices that are away an identity is remembered to have had. */
const MAX_AWAY = 64;

/** Splits the instances into those that have a binding and those that are away, whose generation ends (RFC 5627 §5.4). */
function compose(
  before: Registration,
  instances: readonly InstanceState[],
  bindings: readonly Binding[],
): Pick<Applied, 'registration' | 'gone'> {
  const here = (state: InstanceState): boolean =>
    bindings.some((binding) => binding.instanceKey === state.instanceKey && binding.aor === state.aor);
  const away = before.away ?? nobody;
  // nearly always: who was here is here, and nobody is away
  if (away.length === 0 && instances.every(here))
    return { registration: { bindings, instances, away }, gone: none };
  const gone = instances.filter((state) => !here(state));
  const living = instances.filter(here);
  const remain = away.filter((gr) => !living.some((state) => state.gr === gr));
  return {
    registration: {
      bindings,
      instances: living,
      away: [...new Set([...remain, ...gone.map((state) => state.gr)])].slice(-MAX_AWAY),
    },
    gone,
  };
}

const nobody: readonly string[] = [];
const none: readonly InstanceState[] = [];

/** RFC 3261 §10.3 step 6 and 7: within one Call-ID only a higher CSeq counts. */
function checkOrder(binding: Binding, command: RegisterCommand): void {
  if (binding.callId === command.callId && command.cseq <= binding.cseq)
    throw new ParleyError('register-out-of-order');
}

function indexOfBinding(
  bindings: readonly Binding[],
  contact: ContactRequest,
  context: ApplyContext,
): number {
  for (let i = 0; i < bindings.length; i++) {
    const binding = bindings[i]!;
    if (binding.aor === context.aor && matches(binding, contact, context.matching)) return i;
  }
  return -1;
}

function matches(binding: Binding, contact: ContactRequest, matching: ApplyContext['matching']): boolean {
  // an emergency registration stands beside the ordinary one of the same device
  if (isEmergency(binding.contact) !== isEmergency(contact.uri)) return false;
  if (contact.instance && contact.regId !== undefined) {
    return binding.instanceKey === contact.instance.key && binding.regId === contact.regId;
  }
  if (contact.instance && matching === 'instance') {
    return binding.instanceKey === contact.instance.key && binding.regId === undefined;
  }
  if (binding.regId !== undefined || binding.instanceKey !== contact.instance?.key) return false;
  return binding.contact === contact.uri || sameUri(parseUri(binding.contact), parseUri(contact.uri));
}

function makeBinding(
  contact: ContactRequest,
  command: RegisterCommand,
  context: ApplyContext,
  existing: Binding | undefined,
): Binding {
  // one shape for all bindings: what is absent is undefined
  return {
    id: existing?.id ?? randomUUID(),
    aor: context.aor,
    contact: contact.uri,
    params: contact.params,
    deviceName: contact.deviceName,
    instance: contact.instance?.urn,
    instanceKey: contact.instance?.key,
    regId: contact.regId,
    q: contact.q,
    callId: command.callId,
    cseq: command.cseq,
    path: command.path,
    flow: command.flow,
    flowOnly: command.flowOnly,
    privateId: context.privateId,
    userAgent: command.userAgent,
    registeredAt: existing?.registeredAt ?? context.now,
    refreshedAt: context.now,
    expiresAt: context.now + contact.expires * 1000,
  };
}

/**
 * RFC 5627 §5.4: a Call-ID other than that of the instance's last registration (of the same reg-id) ends the
 * validity of all temporary GRUUs of the instance and begins a new generation.
 */
function nextGeneration(
  instances: readonly InstanceState[],
  contact: ContactRequest,
  command: RegisterCommand,
  context: ApplyContext,
  indexesNeeded: string[],
): readonly InstanceState[] {
  const key = contact.instance!.key;
  const { regId } = contact;
  const position = instances.findIndex((state) => state.instanceKey === key && state.aor === context.aor);
  const state = instances[position];
  const last = state?.callIds.find((flow) => flow.regId === regId)?.callId;
  if (state && last === command.callId) return instances;
  const sameGeneration = state !== undefined && last === undefined; // one more flow of a device that is there
  const index = state?.index ?? context.indexes.get(key);
  if (index === undefined) {
    indexesNeeded.push(key);
    return instances;
  }
  const next: InstanceState = {
    aor: context.aor,
    instanceKey: key,
    gr: state?.gr ?? context.gr(contact.instance!.urn),
    index,
    generation: sameGeneration
      ? state.generation
      : state
        ? (state.generation + 1) % TEMPORARY_GRUU_GENERATIONS
        : 0,
    firstCSeq: sameGeneration ? state.firstCSeq : command.cseq,
    callIds: withCallId(state?.callIds, { regId, callId: command.callId }),
  };
  if (instances.length <= 1 && position === instances.length - 1) return [next];
  return position < 0 ? [...instances, next] : instances.with(position, next);
}

function withCallId(known: readonly FlowCallId[] = [], flow: FlowCallId): readonly FlowCallId[] {
  if (known.length <= 1 && known[0]?.regId === flow.regId) return [flow];
  return [...known.filter(({ regId }) => regId !== flow.regId), flow];
}
