import type { Store } from '../store/store.js';
import { LocalUsers } from './access/local-users.js';
import type { ImpsPorts } from './ports.js';

/** Ports of a server that is alone: its own users talk to each other, and nobody else is reachable. */
export const localPorts = (store: Store): ImpsPorts => ({
  users: new LocalUsers(store),
  router: {
    route: async () => ({ kind: 'local' }),
    report: async () => undefined,
    knows: async () => false,
    mayKnow: async () => false,
    claims: async () => false,
    blocks: async () => false,
  },
  presence: {
    hides: async () => false,
    fetch: async () => undefined,
    watch: async () => false,
    unwatch: async () => undefined,
    changed: async () => undefined,
  },
  observer: {
    sessionStarted: () => undefined,
    sessionChanged: () => undefined,
    sessionEnded: () => undefined,
    userRemoved: async () => undefined,
  },
  groups: {
    message: async () => undefined,
    joined: async () => 200,
    left: async () => undefined,
    dissolved: async () => undefined,
    invite: async () => new Map(),
    cancel: async () => false,
    answered: async () => undefined,
  },
  pagers: [],
});
