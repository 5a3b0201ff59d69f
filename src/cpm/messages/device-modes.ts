import { cpmServices } from '../../identity/cpm-services.js';
import { hasIcsi, ICSI_REF } from '../../identity/feature-tags.js';
import type { RegisteredDevice } from '../../reg-event/devices.js';
import type { DeferredMessage } from './deferred-store.js';

/** How a standalone message goes to a device: as a MESSAGE, or over MSRP in a session of its own. */
export type MessageMode = 'pager' | 'large';

/** Tag of devices that want pager mode also above the usual limit. */
const PAGER_LARGE = '+g.gsma.rcs.cpm.pager-large';
/** A request much larger than this should not be one (RFC 3428 §8). */
const PAGER_LARGE_OCTETS = 30_000;

/** Octets of a message. */
export const octetsOf = ({ body, content }: Pick<DeferredMessage, 'body' | 'content'>): number =>
  content?.octets ?? body.length;

/**
 * The mode in which devices can take a message: the one in which it came, where one of them can, else the other one.
 * A device that lists no services is taken to know pager mode.
 * @param pagerBytes octets of a pager mode message for devices that ask for no more. @returns undefined when none can.
 */
export function modeFor(
  octets: number,
  came: MessageMode,
  devices: readonly RegisteredDevice[],
  pagerBytes: number,
): MessageMode | undefined {
  const able: Record<MessageMode, boolean> = {
    pager: devices.some((device) => octets <= pagerLimit(device, pagerBytes)),
    large: devices.some(({ features }) => hasIcsi(features, cpmServices.largeMessage)),
  };
  const other = came === 'pager' ? 'large' : 'pager';
  return able[came] ? came : able[other] ? other : undefined;
}

function pagerLimit({ features }: RegisteredDevice, pagerBytes: number): number {
  if (features.has(ICSI_REF) && !hasIcsi(features, cpmServices.message)) return -1;
  return features.has(PAGER_LARGE) ? Math.max(pagerBytes, PAGER_LARGE_OCTETS) : pagerBytes;
}
