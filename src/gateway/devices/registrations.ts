import type { Clock } from '../../base/clock.js';
import type { Registrar, StandInDevice } from '../../registrar/registrar.js';
import { parseAddress } from '../../sip/message/address.js';

/** A phone as a device of an identity. */
export interface PhoneRegistration extends Omit<StandInDevice, 'path'> {
  readonly identity: string;
  /** Key of the identity's registration set. */
  readonly set: string;
}

/** Where phones are registered: the registrar of this process, or the core that this server stands behind. */
export interface Registrations {
  /** Key of the registration set of an identity that may be a user here; undefined for anybody else. */
  setOf(aor: string): Promise<string | undefined>;
  /**
   * Makes a binding or refreshes it.
   * @param again called when it has to be refreshed before it ends, or tried again
   */
  register(phone: PhoneRegistration, again: () => void): Promise<void>;
  /** Whether what {@link register} would do is done already, by a process before this one or another node that lives. */
  stands(phone: PhoneRegistration): Promise<boolean>;
  remove(phone: PhoneRegistration): Promise<void>;
  close(): void;
}

/** By how much a binding that stands may end before one that is made now. */
const SLACK_MS = 30_000;

/** Phones at the registrar of this process, whose bindings live as long as they ask for. */
export class OwnRegistrations implements Registrations {
  readonly #registrar: Registrar;
  readonly #clock: Clock;
  readonly #path: (user: { servedUser: string; set: string }) => readonly string[];
  readonly #isNode: (place: { readonly address: string; readonly port: number }) => boolean;

  /**
   * @param path Route values that lead to the gateway.
   * @param isNode whether another node that lives, with a gateway as good as this one, listens there.
   */
  constructor(
    registrar: Registrar,
    clock: Clock,
    path: (user: { servedUser: string; set: string }) => readonly string[],
    isNode: (place: { readonly address: string; readonly port: number }) => boolean,
  ) {
    this.#registrar = registrar;
    this.#clock = clock;
    this.#path = path;
    this.#isNode = isNode;
  }

  setOf(aor: string): Promise<string | undefined> {
    return this.#registrar.setOf(aor);
  }

  async register({ identity, set, ...device }: PhoneRegistration): Promise<void> {
    await this.#registrar.registerFor(identity, {
      ...device,
      path: this.#path({ servedUser: identity, set }),
    });
  }

  async stands({ identity, set, contact, callId, userAgent }: PhoneRegistration): Promise<boolean> {
    const registration = await this.#registrar.lookup(set);
    const binding = registration?.bindings.find((one) => one.callId === callId);
    if (!binding) return false;
    const ends = this.#clock.now() + (contact.expires ?? 0) * 1000 - SLACK_MS;
    return (
      binding.contact === contact.uri &&
      binding.params === contact.params &&
      binding.deviceName === contact.deviceName &&
      binding.userAgent === userAgent?.slice(0, 128) &&
      binding.expiresAt >= ends &&
      (binding.path.join() === this.#path({ servedUser: identity, set }).join() ||
        this.#leadsToNode(binding.path))
    );
  }

  /** Whether the first hop of a Path is another node. */
  #leadsToNode([first]: readonly string[]): boolean {
    if (first === undefined) return false;
    const { host, port } = parseAddress(first, 'Path').uri;
    return this.#isNode({ address: host.replace(/^\[|\]$/g, ''), port: port ?? 5060 });
  }

  async remove({ set, callId }: PhoneRegistration): Promise<void> {
    // by Call-ID: a session that took over the Instance ID stays
    await this.#registrar.deregister(set, 'unregistered', (binding) => binding.callId === callId);
  }

  close(): void {
    // nothing runs
  }
}
