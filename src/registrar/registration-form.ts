import type { RecordForm } from '../store/store.js';
import type { Binding, FlowCallId, InstanceState, Registration } from './registration.js';

/** In the place of a text's length: there is none, or it is one that is known at that place. */
const ABSENT = -1;
const SAME = -2;

/** All texts of a registration one after the other, then its numbers, among them the length of each text. */
type StoredRegistration = [texts: string, ...numbers: number[]];

/**
 * How registrations are stored: no property names, every text once, and all in one string, since stores take and give a long string
 * as fast as a short one. The record of one device takes about half the octets, and less than half the time.
 */
export const registrationForm: RecordForm<Registration> = {
  pack({ bindings, instances, away = [] }): StoredRegistration {
    const writer = new Writer();
    writer.number(bindings.length);
    for (const binding of bindings) packBinding(writer, binding);
    writer.number(instances.length);
    for (let i = 0; i < instances.length; i++) packInstance(writer, instances[i]!, bindings[i]);
    writer.number(away.length);
    for (const gr of away) writer.text(gr);
    return writer.stored;
  },

  unpack(stored): Registration {
    if (!Array.isArray(stored)) return stored as Registration;
    const reader = new Reader(stored as StoredRegistration);
    const bindings = list(reader.number(), () => unpackBinding(reader));
    const instances = list(reader.number(), (i) => unpackInstance(reader, bindings[i]));
    const away = list(reader.number(), () => reader.text() ?? '');
    return { bindings, instances, away };
  },
};

function packBinding(writer: Writer, binding: Binding): void {
  writer.text(binding.id);
  writer.text(binding.aor);
  writer.text(binding.contact);
  writer.text(binding.params);
  writer.text(binding.deviceName);
  writer.text(binding.instance);
  writer.text(binding.instanceKey);
  writer.number(binding.regId ?? ABSENT);
  writer.number(binding.q);
  writer.text(binding.callId);
  writer.number(binding.cseq);
  writer.number(binding.path.length);
  for (const route of binding.path) writer.text(route);
  writer.text(binding.flow);
  writer.number(binding.flowOnly ? 1 : 0);
  writer.text(binding.privateId, binding.aor);
  writer.text(binding.userAgent);
  writer.number(binding.registeredAt);
  writer.number(binding.refreshedAt);
  writer.number(binding.expiresAt);
}

function unpackBinding(reader: Reader): Binding {
  const id = reader.text() ?? '';
  const aor = reader.text() ?? '';
  // properties are read in the order of the writer
  return {
    id,
    aor,
    contact: reader.text() ?? '',
    params: reader.text() ?? '',
    deviceName: reader.text(),
    instance: reader.text(),
    instanceKey: reader.text(),
    regId: reader.optional(),
    q: reader.number(),
    callId: reader.text() ?? '',
    cseq: reader.number(),
    path: list(reader.number(), () => reader.text() ?? ''),
    flow: reader.text(),
    flowOnly: reader.number() === 1,
    privateId: reader.text(aor) ?? '',
    userAgent: reader.text(),
    registeredAt: reader.number(),
    refreshedAt: reader.number(),
    expiresAt: reader.number(),
  };
}

/** @param binding of the same place in the list: nearly always that of the device. */
function packInstance(writer: Writer, state: InstanceState, binding: Binding | undefined): void {
  writer.text(state.aor, binding?.aor);
  writer.text(state.instanceKey, binding?.instanceKey);
  writer.text(state.gr, binding?.instance);
  writer.number(state.index);
  writer.number(state.generation);
  writer.number(state.firstCSeq);
  writer.number(state.callIds.length);
  for (const { regId, callId } of state.callIds) {
    writer.number(regId ?? ABSENT);
    writer.text(callId, binding?.callId);
  }
}

function unpackInstance(reader: Reader, binding: Binding | undefined): InstanceState {
  return {
    aor: reader.text(binding?.aor) ?? '',
    instanceKey: reader.text(binding?.instanceKey) ?? '',
    gr: reader.text(binding?.instance) ?? '',
    index: reader.number(),
    generation: reader.number(),
    firstCSeq: reader.number(),
    callIds: list(reader.number(), (): FlowCallId => ({
      regId: reader.optional(),
      callId: reader.text(binding?.callId) ?? '',
    })),
  };
}

function list<T>(length: number, item: (index: number) => T): T[] {
  const items: T[] = [];
  for (let i = 0; i < length; i++) items.push(item(i));
  return items;
}

class Writer {
  readonly stored: StoredRegistration = [''];

  number(value: number): void {
    this.stored.push(value);
  }

  /** @param known a text that the reader has at that place. */
  text(value: string | undefined, known?: string): void {
    if (value === undefined) this.stored.push(ABSENT);
    else if (value === known) this.stored.push(SAME);
    else {
      this.stored.push(value.length);
      this.stored[0] += value;
    }
  }
}

class Reader {
  readonly #stored: StoredRegistration;
  readonly #texts: string;
  #next = 1;
  #at = 0;

  constructor(stored: StoredRegistration) {
    this.#stored = stored;
    this.#texts = stored[0];
  }

  number(): number {
    return this.#stored[this.#next++] as number;
  }

  optional(): number | undefined {
    const value = this.number();
    return value === ABSENT ? undefined : value;
  }

  /** @param known as the writer was told. */
  text(known?: string): string | undefined {
    const length = this.number();
    if (length < 0) return length === SAME ? known : undefined;
    return this.#texts.slice(this.#at, (this.#at += length));
  }
}
