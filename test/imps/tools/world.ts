import { VirtualClock } from '../../../src/base/clock.js';
import { silentLogger, type Logger } from '../../../src/base/log.js';
import { MemoryTrail } from '../../../src/base/trail.js';
import type { UserId } from '../../../src/imps/address/wv-address.js';
import type { ImpsConfigInput } from '../../../src/imps/config.js';
import type { ImpsPorts } from '../../../src/imps/ports.js';
import { createImpsServer, type ImpsServer } from '../../../src/imps/server.js';
import type { Store } from '../../../src/store/store.js';
import { MemoryStore } from '../../tools/memory-store.js';
import { Phone, type PhoneOptions } from './phone.js';

/** A running server with the users alice, bob and carol, a clock that stands still, and phones for them. */
export interface World<S extends Store = MemoryStore> {
  readonly server: ImpsServer;
  readonly store: S;
  readonly clock: VirtualClock;
  readonly trail: MemoryTrail;
  readonly url: string;
  readonly cirPort: number;
  /** What the server logged as an error. */
  readonly errors: unknown[];
  phone(name: string, options?: Partial<PhoneOptions>): Phone;
  /** Stops the server as a crash would leave it, and starts another on the same store. */
  restart(): Promise<World<S>>;
  close(): Promise<void>;
}

export const world = (config: ImpsConfigInput = {}, ports: Partial<ImpsPorts> = {}): Promise<World> =>
  worldOn(new MemoryStore(), new VirtualClock(), config, ports);

/** The same on a store that is there already. */
export async function worldOn<S extends Store>(
  store: S,
  clock: VirtualClock,
  config: ImpsConfigInput = {},
  ports: Partial<ImpsPorts> = {},
): Promise<World<S>> {
  const trail = new MemoryTrail(() => clock.now());
  const errors: unknown[] = [];
  const log: Logger = { ...silentLogger, error: (fields) => void errors.push(fields) };
  const server = createImpsServer({
    store,
    clock,
    trail,
    log,
    config: { listen: '127.0.0.1:0', cirListen: '127.0.0.1:0', ...config },
    ports,
  });
  for (const name of ['alice', 'bob', 'carol']) {
    await server.users.create({
      user: userId(name),
      password: `${name}-secret`,
      state: 'active',
      createdAt: clock.now(),
    });
  }
  const { http, cirPort } = await server.start();
  return {
    server,
    store,
    clock,
    trail,
    url: http,
    cirPort,
    errors,
    phone: (name, options = {}) =>
      new Phone({ url: http, user: userId(name), password: `${name}-secret`, ...options }),
    restart: async () => {
      await server.close();
      return worldOn(store, clock, config, ports);
    },
    close: () => server.close(),
  };
}

export const userId = (name: string): UserId => `wv:${name}@ims.test` as UserId;
