import type { Clock } from '../base/clock.js';
import type { Logger } from '../base/log.js';
import type { Trail } from '../base/trail.js';
import type { Store } from '../store/store.js';
import { Guesses } from './access/guesses.js';
import { SessionKeeper } from './access/session-keeper.js';
import { impsConfig, type ImpsConfigInput } from './config.js';
import type { ImpsContext } from './context.js';
import { Mailbox } from './delivery/mailbox.js';
import { Outbox } from './delivery/outbox.js';
import { localPorts } from './local-ports.js';
import type { ImpsPorts, Pager } from './ports.js';
import { Sequence } from './state/ids.js';

export interface ContextOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly trail: Trail;
  readonly log: Logger;
  /** Configuration; what is left out has its default. */
  readonly config?: ImpsConfigInput;
  /** Ports that are left out are those of a server that is alone. */
  readonly ports?: Partial<ImpsPorts>;
}

/**
 * Builds what every handler gets. Nothing listens, and no CIR method works yet.
 * @param pagers filled by the caller, before it opens anything
 */
export function createContext(
  { store, clock, trail, log, ports, ...options }: ContextOptions,
  pagers: readonly Pager[],
  draining: () => boolean,
): ImpsContext {
  const config = impsConfig.parse(options.config ?? {});
  const ids = new Sequence(clock);
  const { repeatAfter, inFlight } = config.polling;
  return {
    store,
    clock,
    trail,
    log,
    config,
    ids,
    ports: { ...localPorts(store), ...ports, pagers },
    sessions: new SessionKeeper(store, clock),
    guesses: new Guesses(store, clock, config.login),
    outbox: new Outbox(
      store,
      clock,
      ids,
      { repeatAfter: repeatAfter * 1000, inFlight, waiting: config.limits.serverRequests },
      (session) =>
        trail.record({
          code: 'imps.request-dropped',
          outcome: 'refused',
          clause: 'CSP transaction flow',
          subject: session,
          detail: 'too many wait for the client',
        }),
    ),
    mailbox: new Mailbox(store, clock, config.messages.waitingLimit),
    endpoints: {
      http: '',
      cirHttp: undefined,
      cirHost: '',
      cirPort: 0,
      cirMethods: [],
      cirWorks: () => undefined,
      clientCame: () => undefined,
    },
    draining,
  };
}
