import type { Registrar, StandInDevice } from '../../registrar/registrar.js';

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
  remove(phone: PhoneRegistration): Promise<void>;
  close(): void;
}

/** Phones at the registrar of this process, whose bindings live as long as they ask for. */
export class OwnRegistrations implements Registrations {
  readonly #registrar: Registrar;
  readonly #path: (user: { servedUser: string; set: string }) => readonly string[];

  /** @param path Route values that lead to the gateway. */
  constructor(registrar: Registrar, path: (user: { servedUser: string; set: string }) => readonly string[]) {
    this.#registrar = registrar;
    this.#path = path;
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

  async remove({ set, callId }: PhoneRegistration): Promise<void> {
    // by Call-ID: a session that took over the Instance ID stays
    await this.#registrar.deregister(set, 'unregistered', (binding) => binding.callId === callId);
  }

  close(): void {
    // nothing runs
  }
}
