import { ParleyError } from '../base/errors.js';
import { parseGruu } from '../identity/gruu.js';
import type { Gruus } from '../registrar/gruus.js';
import type { Registrar } from '../registrar/registrar.js';
import type { ServerRequest } from '../sip/stack.js';
import type { Device } from './device-hiding.js';
import { stateOf } from '../reg-event/reginfo.js';
import './errors.js';
import { assertedUser, type Sender, type SenderOptions, type User } from './sender.js';
import type { SendingDevice } from './service.js';
import { assertIdentity, distrust } from './trust-domain.js';

export interface CallerOptions {
  readonly registrar: Registrar;
  readonly gruus: Gruus;
  readonly domains: readonly string[];
}

/**
 * Asserts the caller's identity in the request and finds the device that sent it.
 * @throws ParleyError `core-foreign-gruu`
 */
export async function prepareCaller(
  request: ServerRequest,
  sender: Exclude<Sender, { kind: 'challenge' }>,
  options: CallerOptions,
): Promise<Device | undefined> {
  if (sender.kind === 'peer') return undefined;
  if (sender.kind === 'participant') {
    distrust(request.headers);
    if (!sender.user) return undefined;
  }
  const user = sender.kind === 'participant' ? sender.user! : sender;
  assertIdentity(request.headers, user);
  const contact = request.contacts[0];
  const gruu = contact?.uri.isSip ? parseGruu(contact.uriText) : undefined;
  if (contact && gruu && options.domains.includes(contact.uri.host)) {
    // RFC 5627 §6.1: a user may only put its own GRUUs into Contact
    const target = await options.gruus.resolve(contact.uriText, (aor) => options.registrar.setOf(aor));
    if (target?.kind !== 'instance' || target.set !== user.setKey) throw new ParleyError('core-foreign-gruu');
  }
  return deviceOf(request, user);
}

/** The device of a user that a request came from: over its flow, or by its contact. */
export function deviceOf(request: ServerRequest, user: User): Device | undefined {
  const { registration } = user;
  const contact = request.contacts[0]?.uriText;
  const binding = user.binding ?? registration?.bindings.find((candidate) => candidate.contact === contact);
  return registration && binding ? { registration, binding } : undefined;
}

/** A device of the local registrar as services see it. */
export class LocalSendingDevice implements SendingDevice {
  readonly #device: Device;
  /** Undefined when GRUUs are switched off. */
  readonly #gruus: Gruus | undefined;

  constructor(device: Device, gruus: Gruus | undefined) {
    this.#device = device;
    this.#gruus = gruus;
  }

  get instance(): string | undefined {
    return this.#device.binding.instance;
  }

  get instanceKey(): string | undefined {
    return this.#device.binding.instanceKey;
  }

  get publicGruu(): string | undefined {
    const { registration, binding } = this.#device;
    const state = stateOf(registration, binding);
    return state?.aor.startsWith('sip:') === true ? this.#gruus?.publicOf(state) : undefined;
  }

  get grs(): readonly string[] {
    const { registration, binding } = this.#device;
    return registration.instances
      .filter(({ instanceKey }) => instanceKey === binding.instanceKey)
      .map(({ gr }) => gr);
  }
}

/** The device that a request came from which asserts one of our users, and whose Contact a server has left as it was. */
export async function assertedDevice(
  request: ServerRequest,
  options: SenderOptions,
): Promise<Device | undefined> {
  const user = await assertedUser(request, options);
  return user && deviceOf(request, user);
}
