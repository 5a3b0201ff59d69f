import {
  implicitPreferences,
  matchContacts,
  type CallerPreferences,
  type Candidate,
} from '../identity/caller-preferences.js';
import type { CpmService } from '../identity/cpm-services.js';
import { featureSet } from '../identity/feature-tags.js';
import type { InstanceKey } from '../identity/instance-id.js';
import type { Binding, Registration } from '../registrar/registration.js';
import { parseParams } from '../sip/message/lexer.js';
import type { SipRequest } from '../sip/message/message.js';
import type { ProxyTarget } from '../sip/stack.js';
import { preferences, serviceRequired } from './cpm-invitation.js';

/** A device to try: its newest binding, and the others of the same instance in case that one is dead (RFC 5626 §7). */
export interface DeviceTarget {
  readonly binding: Binding;
  readonly others: readonly Binding[];
}

/** What the caller asks of the device; a CPM invitation asks for its service without saying so. */
export function callerPreferences(request: SipRequest, service: CpmService | undefined): CallerPreferences {
  const accept = preferences(request, 'Accept-Contact');
  const reject = preferences(request, 'Reject-Contact');
  if (service !== undefined) accept.push(serviceRequired(service));
  if (accept.length > 0 || reject.length > 0) return { accept, reject, implicit: false };
  const event = request.method === 'SUBSCRIBE' ? request.get('Event')?.split(';')[0]?.trim() : undefined;
  return implicitPreferences(request.method, event);
}

/** One target a device: several bindings of one instance are never rung at once (RFC 5626 §7), the newest is tried first. */
export function devices(bindings: readonly Binding[]): DeviceTarget[] {
  const byInstance = new Map<string, Binding[]>();
  for (const binding of bindings) {
    const key = binding.instanceKey ?? binding.id;
    const known = byInstance.get(key);
    if (known) known.push(binding);
    else byInstance.set(key, [binding]);
  }
  return [...byInstance.values()].map((group) => {
    const [binding, ...others] = group.sort((a, b) => b.refreshedAt - a.refreshedAt);
    return { binding: binding!, others };
  });
}

/**
 * Orders devices by the caller's preferences (RFC 3841 §7.2) and the callee's q: a group is rung at once, the next one
 * only when no device of the one before has answered (RFC 3261 §16.6).
 * @param service of a CPM invitation: no preference of the caller but what the server asks, so that a device without any feature
 * parameter is not immune to it (RFC 3841 §7.2.3).
 */
export function chooseDevices(
  found: readonly DeviceTarget[],
  registration: Registration,
  wanted: CallerPreferences,
  service: CpmService | undefined,
): readonly (readonly DeviceTarget[])[] {
  const candidates = found.map((device) => candidate(device, registration));
  const groups: DeviceTarget[][] = [];
  let lastQ: number | undefined;
  for (const { contact, q } of matchContacts(wanted, candidates, { immunity: service === undefined })) {
    if (q === lastQ) groups.at(-1)!.push(contact);
    else groups.push([contact]);
    lastQ = q;
  }
  return groups;
}

function candidate(device: DeviceTarget, registration: Registration): Candidate<DeviceTarget> {
  const { binding } = device;
  const state = registration.instances.find((known) => known.instanceKey === binding.instanceKey);
  return {
    contact: device,
    features: featureSet(parseParams(binding.params, 0, 'Contact')),
    q: binding.q,
    // others know a hidden IMEI by the UUID URN of its GRUU
    alias: state?.gr.startsWith('urn:uuid:') ? (`uuid:${state.gr.slice(9)}` as InstanceKey) : undefined,
  };
}

/** Where a binding is reached: its flow, or its contact behind its Path (RFC 3327 §5.3, RFC 5626 §5.3). */
export function bindingTarget(binding: Binding, edit: ProxyTarget['edit'], keepPath: boolean): ProxyTarget {
  return {
    uri: binding.contact,
    ...(keepPath && binding.path.length > 0 ? { route: binding.path } : {}),
    ...(binding.flow !== undefined && usesFlow(binding) ? { flow: binding.flow } : {}),
    ...(edit ? { edit } : {}),
  };
}

/** A device on a connection is reached over it; over UDP only when its contact does not lead to it. */
function usesFlow(binding: Binding): boolean {
  return binding.flowOnly || !binding.flow!.startsWith('udp');
}
