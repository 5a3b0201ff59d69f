import type { Config } from '../config/schema.js';
import { ApplicationServer } from '../core/application-server/application-server.js';
import { ThirdPartyRegistrations } from '../core/application-server/third-party-register.js';
import { RegEventSubscriber } from '../reg-event/subscriber.js';
import { parseUri } from '../sip/message/uri.js';
import type { SipStack } from '../sip/stack.js';
import type { Disposers, Parts, ServiceSide } from './parts.js';

/** The place of services behind somebody else's core. */
export interface RunningBehindCore extends ServiceSide {
  readonly devices: RegEventSubscriber;
}

/** Without the role `core`: third-party REGISTER, a subscription for each registered user, and requests on ISC. */
export async function startBehindCore(
  config: Config,
  parts: Parts & { stack: SipStack },
  disposers: Disposers,
): Promise<RunningBehindCore> {
  const { clock, trail, keys, stack } = parts;
  const { uri: core, self = `sip:parley@${config.domain}`, expires, users } = config.foreignCore;
  const trusted = new Set(config.sip.trusted);
  if (core !== undefined) trusted.add(parseUri(core).host.replace(/^\[|\]$/g, ''));
  const devices = await RegEventSubscriber.open({
    ...parts,
    self,
    route: core === undefined ? [] : [`<${core};lr>`],
    expires,
    total: users,
    ...(!config.store.startsWith('lmdb:') && { node: () => nameOf(stack) }),
  });
  disposers.push(() => devices.close());
  const host = new ApplicationServer({
    stack,
    clock,
    trail,
    trusted,
    core,
    devices,
    domains: [config.domain, ...config.domains],
    timerC: config.sip.timerC * 1000,
    originalDialogKey: await keys.get('original-dialogs'),
  });
  disposers.push(() => host.close());
  const registrations = new ThirdPartyRegistrations({ trail, trusted, watcher: devices });
  stack.on('REGISTER', (request, response) => registrations.handle(request, response));
  return {
    host,
    devices,
    setOf: (aor) => Promise.resolve(devices.keyOf(aor)),
    attach: () => host.attach(),
    start: () => devices.start(),
  };
}

/** The same after a restart on the same address. */
function nameOf({ listeners }: SipStack): string {
  const [first] = listeners;
  return first ? `${first.protocol}:${first.address}:${first.port}` : '';
}
