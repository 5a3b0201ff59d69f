import { parseAor } from '../identity/aor.js';
import type { Gruus } from '../registrar/gruus.js';
import type { Registrar } from '../registrar/registrar.js';
import type { Binding, BindingChange, ContactEvent, Registration } from '../registrar/registration.js';
import { parseParams, unquote } from '../sip/message/lexer.js';
import type { DeviceChange, RegisteredDevice, RegisteredDevices } from './devices.js';
import { stateOf } from './reginfo.js';

/** The devices of the registrar in the same process. */
export class LocalDevices implements RegisteredDevices {
  readonly #registrar: Registrar;
  readonly #gruus: Gruus | undefined;

  /** @param gruus undefined when GRUUs are switched off. */
  constructor(registrar: Registrar, gruus: Gruus | undefined) {
    this.#registrar = registrar;
    this.#gruus = gruus;
  }

  async of(aor: string): Promise<readonly RegisteredDevice[]> {
    const set = await this.#registrar.setOf(parseAor(aor));
    const registration = set === undefined ? undefined : await this.#registrar.lookup(set);
    return registration?.bindings.map((binding) => this.describe(binding, registration)) ?? [];
  }

  async at(gruu: string, owner?: string): Promise<RegisteredDevice | undefined> {
    const setOf = (aor: string): Promise<string | undefined> => this.#registrar.setOf(aor);
    const target = await this.#gruus?.resolve(gruu, setOf).catch(() => undefined);
    if (target?.kind !== 'instance') return undefined;
    if (owner !== undefined && (await setOf(owner)) !== target.set) return undefined;
    const registration = await this.#registrar.lookup(target.set);
    const [newest] =
      registration?.bindings.filter(target.matches).sort((a, b) => b.refreshedAt - a.refreshedAt) ?? [];
    return newest && this.describe(newest, registration!);
  }

  onChange(listener: (change: DeviceChange) => void): () => void {
    return this.#registrar.onChange(({ set, changes, registration }) => {
      for (const change of changes) listener(new LocalChange(this, set, change, registration));
    });
  }

  /** @param registration that of the set, with the binding. */
  describe(binding: Binding, registration: Registration): RegisteredDevice {
    const { id, aor, contact, instance, instanceKey, deviceName, q, expiresAt } = binding;
    const state = stateOf(registration, binding);
    const hasGruu = state?.aor.startsWith('sip:') === true && this.#gruus !== undefined;
    const features = new Map<string, string | true>();
    for (const [name, value] of parseParams(binding.params, 0, 'Contact'))
      features.set(name, value === null ? true : unquote(value));
    return {
      id,
      aor,
      contact,
      ...(instance === undefined ? {} : { instance }),
      ...(instanceKey === undefined ? {} : { instanceKey }),
      ...(hasGruu ? { publicGruu: this.#gruus.publicOf(state), temporaryGruu: this.#gruus.mint(state) } : {}),
      features,
      ...(deviceName === undefined ? {} : { deviceName }),
      q,
      expiresAt,
    };
  }
}

/** A change whose device is described when a listener asks for it: most look at the event alone. */
class LocalChange implements DeviceChange {
  readonly set: string;
  readonly #devices: LocalDevices;
  readonly #change: BindingChange;
  readonly #registration: Registration;

  constructor(devices: LocalDevices, set: string, change: BindingChange, registration: Registration) {
    this.set = set;
    this.#devices = devices;
    this.#change = change;
    this.#registration = registration;
  }

  get event(): ContactEvent {
    return this.#change.event;
  }

  get device(): RegisteredDevice {
    return this.#devices.describe(this.#change.binding, this.#registration);
  }
}
