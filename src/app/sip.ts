import type { Server } from 'node:http';
import type { Clock } from '../base/clock.js';
import type { Logger } from '../base/log.js';
import type { Trail } from '../base/trail.js';
import type { Config } from '../config/schema.js';
import { createDrachtioStack } from '../sip/drachtio/stack.js';
import { createNetwork } from '../sip/embedded/network.js';
import type { NodeTrust } from '../sip/embedded/node-seal.js';
import { createEmbeddedStack } from '../sip/embedded/stack.js';
import type { SipStack } from '../sip/stack.js';
import type { LocalEnd } from '../sip/embedded/wire.js';
import { readTls } from '../sip/transport/tls-options.js';

export interface Sip {
  readonly stack: SipStack;
  /** Serves SIP over WebSocket at `/sip` of the HTTP listener (RFC 7118 §4). */
  readonly attachTo: (http: Server) => void;
}

/** What the nodes of one server know of each other. */
export interface SharedByNodes {
  readonly instance: string;
  readonly nodeOfFlow: (flow: string) => LocalEnd | undefined;
  readonly recordRouteSecret: Uint8Array;
  /** Undefined when nobody else uses the store. */
  readonly nodes: NodeTrust | undefined;
}

/** The SIP stack that the configuration asks for, not yet started. */
export function makeSip(
  config: Config,
  parts: { clock: Clock; log: Logger; trail: Trail },
  shared: SharedByNodes,
): Sip {
  const { listen, timers, overloadDelay, tls } = config.sip;
  const names = { domain: config.domain, aliases: config.domains, timers };
  if (config.sip.stack !== 'embedded') {
    const stack = createDrachtioStack({ ...parts, ...names, url: config.sip.stack });
    // WebSocket clients connect to the drachtio-server
    return { stack, attachTo: () => {} };
  }
  const wire = createNetwork({
    ...parts,
    instance: shared.instance,
    listen,
    timers,
    ...(config.roles.includes('core') && { ownDomains: [config.domain, ...config.domains] }),
    overload: { delayMs: overloadDelay },
    ...(tls && { tls: readTls(tls) }),
    ...originsOf(config),
  });
  const stack = createEmbeddedStack({
    ...parts,
    ...names,
    ...shared,
    wire,
    ...(config.roles.includes('controlling') && { supported: groupExtensions }),
  });
  return { stack, attachTo: (http) => wire.attachWebSocket(http) };
}

/** Without passwords a page of any site that a person looks at could register through that person's browser. */
function originsOf({ auth, sip }: Config): { origins?: readonly string[] } {
  const origins = sip.origins ?? (auth === 'none' ? [] : ['*']);
  return origins.includes('*') ? {} : { origins };
}

/** What the focus of a group understands (RFC 5366, RFC 5368, RFC 4488). */
const groupExtensions = ['recipient-list-invite', 'multiple-refer', 'norefersub'];
