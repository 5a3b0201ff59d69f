import { preferences } from '../../core/cpm-invitation.js';
import { SIP_INSTANCE } from '../../identity/feature-tags.js';
import { InstanceId } from '../../identity/instance-id.js';
import type { RegisteredDevice } from '../../reg-event/devices.js';
import type { SipRequest } from '../../sip/message/message.js';
import type { UserPolicy } from './user-policy.js';

/** Requests that {@link aimAtChosenDevice} has aimed: what their senders asked for stays when the aim is taken off. */
const aimed = new WeakSet<SipRequest>();

/**
 * Aims a request for a user at the device that the user chose, as a caller would (RFC 3841 §7.2.4: `require` and `explicit` leave
 * out all others). A request that names a device already stays as it is.
 */
export function aimAtChosenDevice(request: SipRequest, { deliverTo }: Pick<UserPolicy, 'deliverTo'>): void {
  if (deliverTo === undefined || namesDevice(request)) return;
  aimAt(request, deliverTo);
  aimed.add(request);
}

/** Takes off again what {@link aimAtChosenDevice} added: a message that is kept goes to the device that is chosen when it goes. */
export function takeAimOff(request: SipRequest): void {
  if (!aimed.delete(request)) return;
  const others = request.headers.lines('Accept-Contact').slice(0, -1);
  if (others.length === 0) request.headers.remove('Accept-Contact');
  else request.headers.set('Accept-Contact', others);
}

/** Aims a request at one device. @param instance its Instance ID, a URN. */
export function aimAt(request: SipRequest, instance: string): void {
  request.headers.append('Accept-Contact', preferenceFor(instance));
}

/** A value of Accept-Contact for that device and no other. */
export const preferenceFor = (instance: string): string => `*;+sip.instance="<${instance}>";require;explicit`;

/** Instance key of the one device that a request is for by what the caller asks of it; undefined where that names none, or several. */
export function deviceNamedBy(request: SipRequest): string | undefined {
  const keys = preferences(request, 'Accept-Contact')
    .flatMap(({ terms }) => terms)
    .filter(({ tag }) => tag === SIP_INSTANCE)
    .flatMap(({ filters }) => filters.map((filter) => (filter.kind === 'string' ? filter.text : '')));
  return new Set(keys).size === 1 && keys[0] !== '' ? keys[0] : undefined;
}

/** Whether a request is for one device: by its GRUU, or by what the caller asks of it. */
export function namesDevice(request: SipRequest): boolean {
  if (request.requestUri.isSip && request.requestUri.params.has('gr')) return true;
  return preferences(request, 'Accept-Contact').some(({ terms }) =>
    terms.some(({ tag }) => tag === SIP_INSTANCE),
  );
}

/**
 * Those of a user's devices that a request to no GRUU is for: the one that it names by Instance ID, else the one that the user chose;
 * all of them where none is known to be that one.
 * @param deliverTo Instance ID, a URN.
 */
export function aimedDevices(
  request: SipRequest,
  devices: readonly RegisteredDevice[],
  deliverTo: string | undefined,
): readonly RegisteredDevice[] {
  const chosen = deliverTo === undefined ? undefined : InstanceId.fromUrn(deliverTo).key;
  const key = namesDevice(request) ? deviceNamedBy(request) : chosen;
  const aimed = devices.filter(({ instanceKey }) => instanceKey === key);
  return key === undefined || aimed.length === 0 ? devices : aimed;
}
