import { randomUUID } from 'node:crypto';
import type { Config } from '../config/schema.js';
import { ControllingFunction } from '../cpm/controlling/controlling.js';
import { Groups } from '../cpm/controlling/groups.js';
import { GroupMsrp } from '../cpm/controlling/msrp/group-msrp.js';
import type { Disposers, ServiceParts } from './parts.js';

export interface RunningControlling {
  readonly controlling: ControllingFunction;
  readonly groups: Groups;
}

const MINUTE = 60_000;

/** Starts the CPM controlling function as a service of the core. @param disposers gets what stops it. */
export async function startControlling(
  config: Config,
  parts: ServiceParts,
  disposers: Disposers,
): Promise<RunningControlling> {
  const { clock, log, store, core } = parts;
  const media = new GroupMsrp(clock, log);
  disposers.push(() => media.close());
  const colon = config.msrp.listen.lastIndexOf(':');
  const host = config.msrp.listen.slice(0, colon).replace(/^\[|\]$/g, '');
  await media.start(host, Number(config.msrp.listen.slice(colon + 1)));
  const groups = new Groups(store, randomUUID());
  const controlling: ControllingFunction = new ControllingFunction({
    ...parts,
    groups,
    media,
    factory: config.conferenceFactory ?? `sip:conference-factory@${config.domain}`,
    domain: config.domain,
    maximum: 100,
    minimum: 1,
    ringing: 3 * MINUTE,
    inactivity: 15 * MINUTE,
    sessionExpires: 1800,
    // of another user's set: the invited user's own chain begins at its start
    route: ({ uri }) => core.onward(controlling, 'terminating-registered', { servedUser: uri, set: uri }),
  });
  core.use(controlling);
  return { controlling, groups };
}
