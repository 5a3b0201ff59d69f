import type { Config } from '../config/schema.js';
import { canonicalUri } from '../cpm/controlling/canonical-uri.js';
import { ControllingFunction } from '../cpm/controlling/controlling.js';
import { Directory } from '../cpm/controlling/directory.js';
import { EarlyDialogs } from '../cpm/controlling/early-dialogs.js';
import { GroupAddresses } from '../cpm/controlling/group-addresses.js';
import { GroupOrders } from '../cpm/controlling/group-orders.js';
import { Groups } from '../cpm/controlling/groups.js';
import { Housekeeping } from '../cpm/controlling/housekeeping.js';
import { MsrpGroupMedia } from '../cpm/controlling/group-media.js';
import type { RunningGroups } from '../cpm/controlling/running-groups.js';
import { Receipts } from '../cpm/controlling/receipts.js';
import type { OneToOneSessions, SessionParty } from '../cpm/controlling/replacements.js';
import type { MsrpEndpoint } from '../msrp/session/index.js';
import { aorDomain, type Aor } from '../identity/aor.js';
import type { Headers } from '../sip/message/headers.js';
import { SubscriptionKeeper } from '../subscriptions/subscription-keeper.js';
import type { Nodes } from './nodes.js';
import type { Disposers, ServiceParts, ServiceSide } from './parts.js';

/** The 1-1 sessions that the participating function has on record. */
interface SessionList {
  list(set: string): AsyncIterable<{
    /** Call-ID and the caller's tag, with a tab between. */
    readonly id: string;
    readonly calleeTag?: string | undefined;
    readonly contributionId: string | undefined;
    /** Of a session in whose media path a node is. */
    readonly pairs?: readonly { readonly near: DialogEnd; readonly far: DialogEnd }[] | undefined;
    readonly caller: SessionEnd;
    readonly callee: SessionEnd;
  }>;
}

/** A leg as the server in the middle has it. */
interface DialogEnd {
  readonly callId: string;
  readonly localTag: string;
  readonly remoteTag: string;
}

interface SessionEnd {
  readonly user: string;
  readonly device: string | undefined;
  readonly set?: string | undefined;
}

/** Starts the CPM controlling function as a service of the core. @param disposers gets what stops it. */
export function startControlling(
  config: Config,
  parts: ServiceParts & {
    readonly nodes: Nodes;
    readonly msrp: MsrpEndpoint;
    readonly setOf: ServiceSide['setOf'];
    readonly sessions: SessionList | undefined;
  },
  disposers: Disposers,
): RunningGroups {
  const { clock, log, store, trail, stack, core, nodes, msrp } = parts;
  const settings = config.cpm.groups;
  const groups = new Groups(store, clock, {
    holder: nodes.instance,
    isAlive: nodes.isAlive,
    keepMs: settings.keep * 1000,
  });
  const keeper = new SubscriptionKeeper({
    ...{ stack, store, clock, log },
    event: 'conference',
    node: nodes.instance,
    isAlive: nodes.isAlive,
  });
  disposers.push(() => keeper.close());
  const ownerOf = async (identity: string): Promise<string> => {
    const aor = canonicalUri(identity);
    return (await parts.setOf(aor)) ?? aor;
  };
  const domains = [config.domain, ...config.domains];
  const addresses = new GroupAddresses(
    config.conferenceFactory ?? `sip:conference-factory@${config.domain}`,
    config.domain,
  );
  const earlyDialogs = new EarlyDialogs({
    ...{ stack, store, log },
    holder: nodes.instance,
    isAlive: nodes.isAlive,
  });
  const controlling: ControllingFunction = new ControllingFunction({
    clock,
    log,
    trail,
    stack,
    groups,
    keeper,
    earlyDialogs,
    media: new MsrpGroupMedia(msrp, settings.messageBytes),
    store,
    keepMs: settings.missed.seconds * 1000,
    perMember: settings.missed.messages,
    // a data folder has one process
    isHeld: config.store.startsWith('lmdb:') ? undefined : (id) => groups.holds(id),
    receipts: new Receipts({
      clock,
      mode: settings.receipts.mode,
      displayed: settings.receipts.displayed,
      gatherMs: settings.receipts.seconds * 1000,
    }),
    ownerOf,
    sessions: oneToOneSessions(parts.sessions, ownerOf),
    addresses,
    maximum: settings.maximum,
    minimum: settings.minimum,
    newPerMinute: settings.newPerMinute,
    openTo: settings.openTo,
    // behind another core it is not known of everybody whose identity it is
    isOwn: async (identity) =>
      domains.includes(aorDomain(identity as Aor) ?? '') || (await parts.setOf(identity)) !== undefined,
    ringing: settings.ringing * 1000,
    inactivity: settings.inactivity * 1000,
    sessionExpires: settings.sessionExpires,
    notifyInterval: settings.interval * 1000,
    // of another user's set: the invited user's own chain begins at its start
    route: ({ uri }) => core.onward(controlling, 'terminating-registered', { servedUser: uri, set: uri }),
    async forward(holder, request, response) {
      if (!nodes.isAlive(holder)) return false;
      const at = nodes.endOf(holder);
      const { uri } = request;
      const route = core.onward(controlling, 'terminating-registered', { servedUser: uri, set: uri }, at);
      // without an address of the holder drachtio-server gives it to one of its applications in turn
      const edit = at ? {} : { edit: limitTurns(nodes.count) };
      await stack.proxyRequest(request, response, { groups: [[{ uri, route }]], recordRoute: true, ...edit });
      return true;
    },
  });
  core.use(controlling);
  const housekeeping = new Housekeeping({
    clock,
    log,
    trail,
    store,
    groups,
    keepMs: settings.missed.seconds * 1000,
    expired: (message) => controlling.expired(message),
  });
  disposers.push(() => housekeeping.close());
  const orders = new GroupOrders({ store, clock, log, holder: nodes.instance });
  const directory = new Directory({
    groups,
    orders,
    now: () => clock.now(),
    addresses,
    maximum: settings.maximum,
    minimum: settings.minimum,
    ownerOf,
    focuses: { close: (id) => controlling.close(id), running: (id) => controlling.focusOf(id) },
  });
  orders.start((order) => directory.carryOut(order));
  disposers.push(() => orders.close());
  return { controlling, groups, directory, earlyDialogs };
}

/**
 * How often, for each node, a request is given to the next application of a drachtio-server, in search of the one that holds its group.
 * What else the server gives out meanwhile makes the turns random: one in 3,000 finds it not.
 */
const TURNS = 8;

function limitTurns(nodes: number): (headers: Headers) => void {
  return (headers) => {
    const left = Number(headers.get('Max-Forwards') ?? Infinity);
    headers.set('Max-Forwards', String(Math.min(left, TURNS * nodes)));
  };
}

function oneToOneSessions(
  sessions: SessionList | undefined,
  ownerOf: (identity: string) => Promise<string>,
): OneToOneSessions {
  const end = async ({ user, device, set }: SessionEnd): Promise<SessionParty> => ({
    owner: set ?? (await ownerOf(user)),
    device,
  });
  return {
    async *of(owner) {
      if (!sessions) return;
      for await (const { id, contributionId, pairs = [], calleeTag, caller, callee } of sessions.list(
        owner,
      )) {
        const [callId, callerTag] = id.split('\t');
        yield {
          contributionId,
          dialogs: [
            { callId: callId!, callerTag: callerTag!, calleeTag },
            ...pairs.map(({ far }) => ({
              callId: far.callId,
              callerTag: far.localTag,
              calleeTag: far.remoteTag,
            })),
          ],
          caller: await end(caller),
          callee: await end(callee),
        };
      }
    },
  };
}
