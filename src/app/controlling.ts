import type { Config } from '../config/schema.js';
import { ControllingFunction } from '../cpm/controlling/controlling.js';
import { Groups } from '../cpm/controlling/groups.js';
import { Housekeeping } from '../cpm/controlling/housekeeping.js';
import { GroupMsrp } from '../cpm/controlling/msrp/group-msrp.js';
import type { Nodes } from './nodes.js';
import type { Disposers, ServiceParts } from './parts.js';

export interface RunningControlling {
  readonly controlling: ControllingFunction;
  readonly groups: Groups;
}

/** Starts the CPM controlling function as a service of the core. @param disposers gets what stops it. */
export async function startControlling(
  config: Config,
  parts: ServiceParts & { readonly nodes: Nodes },
  disposers: Disposers,
): Promise<RunningControlling> {
  const { clock, log, store, trail, stack, core, nodes } = parts;
  const media = new GroupMsrp(clock, log);
  disposers.push(() => media.close());
  const colon = config.msrp.listen.lastIndexOf(':');
  const host = config.msrp.listen.slice(0, colon).replace(/^\[|\]$/g, '');
  await media.start(host, Number(config.msrp.listen.slice(colon + 1)));
  const { maximum, minimum, ringing, inactivity, sessionExpires, keep } = config.cpm.groups;
  const groups = new Groups(store, clock, {
    holder: nodes.instance,
    isAlive: (holder) => nodes.endOf(holder) !== undefined,
    keepMs: keep * 1000,
  });
  const controlling: ControllingFunction = new ControllingFunction({
    clock,
    log,
    trail,
    stack,
    groups,
    media,
    factory: config.conferenceFactory ?? `sip:conference-factory@${config.domain}`,
    domain: config.domain,
    maximum,
    minimum,
    ringing: ringing * 1000,
    inactivity: inactivity * 1000,
    sessionExpires,
    // of another user's set: the invited user's own chain begins at its start
    route: ({ uri }) => core.onward(controlling, 'terminating-registered', { servedUser: uri, set: uri }),
    async forward(holder, request, response) {
      const at = nodes.endOf(holder);
      if (!at) return false;
      const { uri } = request;
      const route = core.onward(controlling, 'terminating-registered', { servedUser: uri, set: uri }, at);
      await stack.proxyRequest(request, response, { groups: [[{ uri, route }]], recordRoute: true });
      return true;
    },
  });
  core.use(controlling);
  const housekeeping = new Housekeeping({ clock, log, trail, groups });
  disposers.push(() => housekeeping.close());
  return { controlling, groups };
}
