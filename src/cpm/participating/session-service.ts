import type { Clock, Timer } from '../../base/clock.js';
import { orNone } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import { cpmServiceOf, invitedService } from '../../core/cpm-invitation.js';
import type {
  DeviceBody,
  Next,
  NextOptions,
  Service,
  ServiceCall,
  ServiceSubject,
} from '../../core/service.js';
import { cpmServices } from '../../identity/cpm-services.js';
import { hasIcsi } from '../../identity/feature-tags.js';
import { parseAor } from '../../identity/aor.js';
import type { MsrpMedia } from '../../msrp/sdp/index.js';
import type { RegisteredDevices } from '../../reg-event/devices.js';
import {
  STACK_CLOSED,
  type Dialog,
  type ProxyResult,
  type ServerRequest,
  type SipStack,
} from '../../sip/stack.js';
import { GROUP_PREFIX } from '../controlling/group-addresses.js';
import type { InterworkingFunction } from '../interworking/function.js';
import type { InterworkingSelection } from '../interworking/selection.js';
import { aimAtChosenDevice, aimedDevices } from '../policy/chosen-device.js';
import type { Policies } from '../policy/policies.js';
import type { MinuteRate } from '../policy/rate.js';
import type { UserPolicy } from '../policy/user-policy.js';
import { nameContribution } from './identifiers.js';
import { LaterOffers } from './later-offers.js';
import type { MediaRelay } from './media-relay.js';
import { entitlementOf, InvitationJudge } from './invitation-judge.js';
import { announcedSize, msrpOffer } from './offer.js';
import { refuse } from './refusal.js';
import { aimAtDeviceOf, isFromFocus, replacedSession } from './replaced-session.js';
import type { SessionRecord, SessionRecords } from './session-records.js';
import type { SessionRelease } from './session-release.js';
import { sessionId, startedSession } from './started-session.js';
import { answerTimer, askForTimer, sessionInterval } from './session-timer.js';

export interface SessionServiceOptions {
  readonly stack: SipStack;
  readonly clock: Clock;
  readonly trail: Trail;
  readonly log: Logger;
  readonly devices: RegisteredDevices;
  readonly policies: Policies;
  readonly records: SessionRecords;
  readonly release: SessionRelease;
  readonly interworking: InterworkingSelection;
  /** Octets of a message in large message mode. */
  readonly largeBytes: number;
  /** Counts the messages of users, whatever their mode. */
  readonly messageRate: MinuteRate;
  /** Names itself in warnings. */
  readonly domain: string;
  /** Seconds of the session timer that is asked for where the caller can do one and asks for none. */
  readonly sessionExpires: number;
  /** Whether other nodes use the same store, and show what passes this one. */
  readonly shared: boolean;
  /** This process, while it runs. */
  readonly node: string;
  /** Whether a process of this server still runs. */
  readonly isAlive: (node: string) => boolean;
  /** Key of the registration set of a user here, undefined for anybody else. */
  setOf(aor: string): Promise<string | undefined>;
  /** A user sends a message in large message mode: its notifications go back to the device that sends it. */
  largeMessageSent(call: ServiceCall): Promise<void>;
}

const SWEEP_MS = 1_000;
const SWEEP_BATCH = 200;
/** So many sessions in the media path of this node are looked at in each sweep. */
const NOTED_BATCH = 100;

/**
 * CPM 1-1 sessions at both participating functions (OMA CPM §5.2.3.1.1): a Record-Routing proxy that judges, names and records,
 * so that the identifiers of dialogs survive; where policy wants the media, the media relay takes the session over.
 */
export class SessionService implements Service {
  readonly name = 'cpm-sessions';
  readonly #options: SessionServiceOptions;
  readonly #judge: InvitationJudge;
  readonly #laterOffers: LaterOffers;
  #relay: MediaRelay | undefined;
  /** Invitations without a final response, by the registration set of their user. */
  readonly #ringing = new Map<string, number>();
  /** Sessions with a user agent of this process: their requests end there and pass no proxy. Key: the session, tab, callee's tag. */
  readonly #own = new Set<string>();
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: SessionServiceOptions) {
    this.#options = options;
    this.#judge = new InvitationJudge(options.records, options.largeBytes, options.messageRate);
    this.#laterOffers = new LaterOffers({ ...options, judge: this.#judge });
    options.stack.onDialog((dialog) => this.#ownDialog(dialog));
    this.#scheduleSweep();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#options.release.close();
  }

  /** Sessions in whose media path policy wants this server are given to it; without one they stay outside. */
  set relay(relay: MediaRelay) {
    this.#relay = relay;
  }

  matches({ request }: ServiceSubject): boolean {
    return invitedService(request) !== undefined;
  }

  async handle(call: ServiceCall, next: Next): Promise<void> {
    const policy = await this.#options.policies.of(call.set);
    // they are on their way into the records: many at once get no further than the limit
    const ringing = this.#ringing.get(call.set) ?? 0;
    this.#ringing.set(call.set, ringing + 1);
    try {
      await this.#invite(call, policy, ringing, next);
    } finally {
      const left = this.#ringing.get(call.set)! - 1;
      if (left > 0) this.#ringing.set(call.set, left);
      else this.#ringing.delete(call.set);
    }
  }

  /** @param ringing invitations of the same user that have no final response yet. */
  async #invite(call: ServiceCall, policy: UserPolicy, ringing: number, next: Next): Promise<void> {
    const originating = call.sessionCase === 'originating';
    const replaced = await this.#replaced(call);
    const judged = await (originating
      ? this.#judge.ofCaller(call, policy, ringing)
      : this.#judge.ofCallee(call, policy, replaced ? undefined : ringing));
    const offer = judged === undefined ? msrpOffer(call.request) : undefined;
    const refusal = judged ?? this.#judge.ofOffer(entitlementOf(call.request), offer?.sections ?? [], policy);
    if (refusal !== undefined) {
      refuse(call, refusal, { trail: this.#options.trail, agent: this.#options.domain });
      return;
    }
    if (
      replaced &&
      !aimAtDeviceOf(replaced, call.request, call.set, await this.#options.devices.of(call.set))
    ) {
      refuse(call, 'cpm-replaced-device', { trail: this.#options.trail, agent: this.#options.domain });
      return;
    }
    if (originating) {
      this.#name(call);
      if (invitedService(call.request) === cpmServices.largeMessage)
        await this.#options.largeMessageSent(call);
    } else if (await this.#interwork(call, policy, next)) return;
    await this.#goOn(call, policy, offer?.first, next);
  }

  /** The session of the callee that a focus puts a group in the place of. From anybody else nothing of that goes on (hijack). */
  async #replaced({
    request,
    servedUser,
    sessionCase,
    set,
  }: ServiceCall): Promise<SessionRecord | undefined> {
    if (!request.has('Session-Replaces')) return undefined;
    const { records, devices, trail } = this.#options;
    const setOf = (aor: string): Promise<string | undefined> => this.#options.setOf(aor);
    const isUser = async (aor: string): Promise<boolean> => {
      const key = await setOf(aor);
      // where anybody may register, the names of groups are no users' unless somebody has
      const isGroup = aor.startsWith(`sip:${GROUP_PREFIX}`);
      return key !== undefined && (!isGroup || (await devices.of(key)).length > 0);
    };
    if (sessionCase !== 'originating' && (await isFromFocus(request, isUser)))
      return replacedSession(request, set, records, setOf);
    request.headers.remove('Session-Replaces');
    request.headers.remove('Referred-By');
    trail.record({
      code: 'cpm.replacement-ignored',
      outcome: 'noted',
      clause: 'OMA CPM Figure 9, RFC 4579 §4.1',
      subject: servedUser,
      trace: request.callId,
      detail: 'not from a focus',
    });
    return undefined;
  }

  /** Towards the devices, or where those do not know the service, to an interworking function. */
  async #goOn(
    call: ServiceCall,
    policy: UserPolicy,
    offer: MsrpMedia | undefined,
    next: Next,
  ): Promise<void> {
    const { interworking, devices } = this.#options;
    const relay = offer && this.#staysInPath(call, policy, offer) ? this.#relay : undefined;
    const inPath = relay !== undefined;
    this.#continued(call, inPath);
    const observed = this.#observed(call, inPath);
    let instead: InterworkingFunction | undefined;
    const refused = async (status: number): Promise<boolean> => {
      const here = call.sessionCase === 'originating' ? [] : await devices.of(call.set);
      instead = await interworking.afterRefusal(call, status, here);
      return instead !== undefined;
    };
    const mayInterwork = interworking.hasFunctions;
    if (relay)
      await relay.join(call, observed, {
        id: sessionId(call.request),
        offer: offer!,
        recorded: policy.record,
        messageOctets: this.#judge.largest(entitlementOf(call.request), policy),
        judge: (inside) => this.#laterOffers.judge(inside),
        calleeContacts: await this.#calleeContacts(call),
        ...(mayInterwork && { refused }),
      });
    else if (mayInterwork) await next({ ...observed, takesOver: ({ status }) => refused(status) });
    else await next(observed);
    if (!instead) return;
    if (!relay) {
      await interworking.retry(instead, call, observed);
      return;
    }
    // its media do not pass here
    const direct = this.#observed(call, false);
    call.response.onSend((answer) => direct.onResponse?.(answer));
    await interworking.retry(instead, call, direct);
  }

  /** Sessions whose media passed a node that is no more are given up. */
  abandoned(): Promise<void> {
    return this.#options.records.abandon(this.#isHeld);
  }

  /**
   * Whether the media are to pass here: for records, where the limit on a message or file could not be kept otherwise (one that
   * announces no size, or that a limit of the user's own is for), and as the user wishes, unless they do so already for the other user.
   */
  #staysInPath({ request }: ServiceCall, policy: UserPolicy, offer: MsrpMedia): boolean {
    if (policy.record || policy.maxBytes !== undefined) return true;
    if (this.#relay?.isIn(offer) !== false) return false;
    return (
      policy.mediaPath || (entitlementOf(request) === 'large-messages' && announcedSize(offer) === undefined)
    );
  }

  /** Contacts of the devices that an invitation will ring, if the callee is a user here. */
  async #calleeContacts({ request, set, sessionCase }: ServiceCall): Promise<string[]> {
    const { policies, devices } = this.#options;
    const { uri, requestUri } = request;
    const owner = sessionCase === 'originating' ? undefined : set;
    if (requestUri.isSip && requestUri.params.has('gr')) {
      const device = await devices.at(uri, owner);
      return device ? [device.contact] : [];
    }
    const user = owner ?? orNone(() => parseAor(uri));
    if (user === undefined) return [];
    const service = invitedService(request)!;
    const able = (await devices.of(user)).filter(({ features }) => hasIcsi(features, service));
    const { deliverTo } = await policies.of(user);
    return aimedDevices(request, able, deliverTo).map(({ contact }) => contact);
  }

  /** A user agent of this process has a dialog: a focus, a phone's gateway, a leg of the media relay. */
  #ownDialog(dialog: Dialog): void {
    const { callId, localTag, remoteTag, role } = dialog;
    const [caller, callee] = role === 'uas' ? [remoteTag, localTag] : [localTag, remoteTag];
    const id = `${callId}\t${caller}`;
    const key = `${id}\t${callee}`;
    this.#own.add(key);
    this.#options.records.held(id, this.#options.node);
    dialog.onEnd((cause) => {
      this.#own.delete(key);
      // the next process finds that nobody holds it
      if (cause !== STACK_CLOSED) this.#background(this.#end(id, 'BYE', callee));
    });
  }

  judgeDialogRequest(request: ServerRequest): Promise<void> | undefined {
    return this.#laterOffers.judge(request);
  }

  bodyFor(request: ServerRequest, contact: string): DeviceBody | undefined {
    return this.#relay?.bodyFor(request, contact);
  }

  /** Requests inside dialogs that passed: a session ends, or lives on. */
  dialogRequest(request: ServerRequest, result: ProxyResult): void {
    const { method } = request;
    const over = method === 'BYE' ? result.status !== 401 && result.status !== 407 : gone.has(result.status);
    const refresh = (method === 'INVITE' || method === 'UPDATE') && result.status < 300;
    if (!over && !refresh) return;
    const interval = result.response && sessionInterval(result.response);
    const { callId, fromTag = '', toTag = '' } = request;
    for (const [caller, callee] of [
      [fromTag, toTag],
      [toTag, fromTag],
    ] as const) {
      const id = `${callId}\t${caller}`;
      this.#background(over ? this.#end(id, method, callee) : this.#options.records.refreshed(id, interval));
    }
  }

  #name({ request, servedUser }: ServiceCall): void {
    const { headers } = request;
    nameContribution(headers, servedUser, request.to.uriText);
    // of several that the caller named only the judged one (RFC 6050 §4.1)
    const judged = cpmServiceOf(request)!;
    headers.remove('P-Preferred-Service');
    if (!headers.has('P-Asserted-Service')) headers.set('P-Asserted-Service', judged);
    askForTimer(headers, this.#options.sessionExpires);
  }

  /** Chooses devices as the user wishes. @returns whether an interworking function took the invitation. */
  async #interwork(call: ServiceCall, policy: UserPolicy, next: Next): Promise<boolean> {
    const { request, set } = call;
    if (request.requestUri.isSip && request.requestUri.params.has('gr')) return false;
    aimAtChosenDevice(request, policy);
    const service = invitedService(request)!;
    const devices = await this.#options.devices.of(set);
    if (!devices.some(({ features }) => hasIcsi(features, service)))
      return this.#options.interworking.byDevices(call, devices, next);
    return false;
  }

  #continued({ request, servedUser, sessionCase }: ServiceCall, inPath: boolean): void {
    this.#options.trail.record({
      code: 'cpm.session-continued',
      outcome: 'accepted',
      clause: 'OMA CPM §5.2.3.1.1',
      subject: servedUser,
      trace: request.callId,
      detail: `${sessionCase}${inPath ? ', in the media path' : ''}`,
    });
  }

  /** Sees the answer pass, completes its session timer, and records the session. */
  #observed(call: ServiceCall, inPath: boolean): NextOptions {
    const { request, response } = call;
    const canTimer = request.headers.hasToken('Supported', 'timer');
    const asked = sessionInterval(request);
    return {
      onResponse: (answer) => {
        if (answer.status < 200 || answer.status >= 300) return;
        answerTimer(answer, asked, canTimer);
        const calleeTag = inPath ? response.tag : answer.toTag;
        const isOurs = inPath || this.#own.has(`${sessionId(request)}\t${calleeTag}`);
        const started = startedSession(call, answer, {
          inPath,
          calleeTag,
          callerDevice: call.device?.publicGruu,
          holder: isOurs ? this.#options.node : undefined,
        });
        this.#background(this.#options.records.started(started));
      },
    };
  }

  async #end(id: string, why: string, calleeTag?: string): Promise<void> {
    const record = await this.#options.records.ended(id, calleeTag);
    if (!record) return;
    this.#options.trail.record({
      code: why === 'timer' ? 'cpm.session-expired' : 'cpm.session-ended',
      outcome: 'noted',
      clause: why === 'timer' ? 'RFC 4028 §10' : 'RFC 3261 §15',
      subject: record.caller.user,
      trace: record.id.split('\t', 1)[0],
      detail: why,
    });
  }

  readonly #isHeld = (holder: string): boolean =>
    holder === this.#options.node || this.#options.isAlive(holder);

  #background(work: Promise<void>): void {
    work.catch((error: unknown) => this.#options.log.error({ err: error }, 'a session record is behind'));
  }

  #scheduleSweep(): void {
    this.#timer = this.#options.clock.after(SWEEP_MS, () => {
      void this.#sweep()
        .catch((error: unknown) =>
          this.#options.log.error({ err: error }, 'ended sessions stay; tried again'),
        )
        .finally(() => {
          if (!this.#closed) this.#scheduleSweep();
        });
    });
  }

  async #sweep(): Promise<void> {
    const { records, release, shared } = this.#options;
    if (shared)
      for (const [id, passed] of this.#relay?.unnoted(NOTED_BATCH) ?? []) await records.passed(id, passed);
    for (const id of await records.due(SWEEP_BATCH)) {
      if (await release.lost(id)) continue;
      const record = await records.get(id);
      const isHeld = record?.holder !== undefined && this.#isHeld(record.holder);
      if (isHeld || (record && this.#own.has(`${record.id}\t${record.calleeTag}`)))
        await records.refreshed(id, undefined);
      else await this.#end(id, 'timer');
    }
  }
}

/** Responses inside a dialog that say that the dialog is no more (RFC 5057 §5.1). */
const gone: ReadonlySet<number> = new Set([404, 408, 410, 416, 481, 482, 483, 484, 485, 502, 604]);
