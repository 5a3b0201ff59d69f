import { ParleyError } from '../base/errors.js';
import { InstanceId } from '../identity/instance-id.js';
import type { Gruus } from '../registrar/gruus.js';
import type { Binding, Registration } from '../registrar/registration.js';
import { parseAddress, type Address } from '../sip/message/address.js';
import type { Headers } from '../sip/message/headers.js';
import { quote, unquote, writeParams } from '../sip/message/lexer.js';

/** The device that a Contact stands for, where it is one of ours. */
export interface Device {
  readonly registration: Registration;
  readonly binding: Binding;
}

const INSTANCE = '+sip.instance';

/**
 * Rewrites the Contact of a message that leaves the serving network (RFC 7255 §8, RFC 8465 §8).
 * With `asGruu`, a known device's contact becomes its GRUU, the temporary one for an anonymous sender, and the Instance ID goes.
 * Otherwise only a hardware identity is hidden: its URN gives way to the UUID URN that also stands in the public GRUU.
 */
export function hideDevice(
  headers: Headers,
  device: Device | undefined,
  gruus: Gruus,
  options: { asGruu: boolean; anonymous: boolean },
): void {
  const lines = headers.list('Contact');
  if (lines.length === 0 || lines[0] === '*') return;
  const rewritten = lines.map((line) => hideContact(line, device, gruus, options));
  if (rewritten.some((line, index) => line !== lines[index])) headers.set('Contact', rewritten);
}

function hideContact(
  line: string,
  device: Device | undefined,
  gruus: Gruus,
  options: { asGruu: boolean; anonymous: boolean },
): string {
  const address = parseAddress(line, 'Contact');
  const gruu = options.asGruu && device ? gruuFor(address, device, gruus, options.anonymous) : undefined;
  if (gruu !== undefined) return written(address, gruu, undefined);
  const instance = address.params.get(INSTANCE);
  if (!instance) return line;
  const parsed = instanceOrNone(unquote(instance));
  if (parsed?.kind === 'uuid' && !options.anonymous) return line;
  return written(
    address,
    address.uriText,
    parsed && !options.anonymous ? quote(`<${gruus.gr(parsed)}>`) : undefined,
  );
}

/** The GRUU that replaces a contact; a GRUU stays as the device chose it, but a public one of an anonymous sender. */
function gruuFor(
  address: Address,
  { registration, binding }: Device,
  gruus: Gruus,
  anonymous: boolean,
): string | undefined {
  const gr = address.uri.isSip ? address.uri.param('gr') : undefined;
  if (gr !== undefined && (gr === '' || !anonymous)) return address.uriText;
  const state = registration.instances.find(
    (candidate) => candidate.instanceKey === binding.instanceKey && candidate.aor === binding.aor,
  );
  if (!state?.aor.startsWith('sip:')) return undefined;
  return anonymous ? gruus.mint(state) : gruus.publicOf(state);
}

function written(address: Address, uri: string, instance: string | undefined): string {
  const params = new Map(address.params);
  params.delete(INSTANCE);
  if (instance !== undefined) params.set(INSTANCE, instance);
  const name = address.displayName === undefined ? '' : `${quote(address.displayName)} `;
  return `${name}<${uri}>${writeParams(params)}`;
}

/** An Instance ID that cannot be read must not leave either. */
function instanceOrNone(value: string): InstanceId | undefined {
  try {
    return InstanceId.parse(value);
  } catch (error) {
    if (error instanceof ParleyError) return undefined;
    throw error;
  }
}
