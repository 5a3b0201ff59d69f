import type { InboundRequest, InboundResponse } from '../embedded/inbound.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import type { ProxyOptions, ProxyResult, ProxyTarget } from '../stack.js';
import type { ServerTransaction } from '../transaction/layer.js';
import { aggregateChallenges, bestOf, type Candidate } from './best-response.js';
import { Branch, type BranchOwner } from './branch.js';
import type { ProxyEnvironment } from './environment.js';
import { callerLeg, type Legs } from './legs.js';
import { MAX_BREADTH } from './validate.js';

/** RFC 3261 §16.6 step 11: larger than 3 minutes. */
const TIMER_C_MS = 181_000;
const COMPLETED_ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"';

/** Methods that make no dialog, in which Record-Route has no place (RFC 3428 §9, RFC 3903 §11.1.1, RFC 3261 §20 table 2). */
const dialogless: ReadonlySet<string> = new Set(['MESSAGE', 'PUBLISH', 'REGISTER']);

/** The response context of one proxied request (RFC 3261 §16.6, §16.7). */
export class ResponseContext implements BranchOwner {
  readonly environment: ProxyEnvironment;
  readonly legs: Legs | undefined;
  readonly hash: string;
  readonly timerC: number | undefined;
  readonly #request: InboundRequest;
  /** What branches copy: the request as it was when it was to be forwarded. */
  #base: SipRequest | undefined;
  readonly #response: InboundResponse;
  readonly #options: ProxyOptions;
  #onDone: ((result: ProxyResult) => void) | undefined;
  /** Targets not tried yet, in groups; the one that runs is off the list. */
  readonly #groups: ProxyTarget[][];
  readonly #maxBreadth: number;
  #running: Branch[] = [];
  readonly #finals: Candidate<ProxyTarget>[] = [];
  /** Set when no new branch may be started: a 2xx, a 6xx or a CANCEL came. */
  #closed = false;
  #cancelled = false;
  /** The user of the proxy is being asked whether it answers itself. */
  #deciding = false;
  #finished = false;
  /** What a CANCEL does when nothing is proxied. */
  readonly #onCancelBefore: ServerTransaction['onCancel'];

  constructor(
    environment: ProxyEnvironment,
    request: InboundRequest,
    response: InboundResponse,
    options: ProxyOptions,
    hash: string,
    onDone: (result: ProxyResult) => void,
  ) {
    this.environment = environment;
    this.hash = hash;
    this.#request = request;
    this.#response = response;
    this.#options = options;
    this.#onDone = onDone;
    this.#groups = options.groups.map((group) => [...group]);
    this.#maxBreadth = Math.min(request.number('Max-Breadth') ?? MAX_BREADTH, MAX_BREADTH);
    const invite = request.method === 'INVITE';
    this.timerC = invite ? Math.max(options.timerC ?? TIMER_C_MS, 180_001) : undefined;
    this.legs =
      options.recordRoute === true && !dialogless.has(request.method)
        ? callerLeg(request, environment)
        : undefined;
    this.#base = request.clone();
    this.#base.headers.set('Max-Forwards', (request.number('Max-Forwards', 255) ?? 71) - 1);
    this.#onCancelBefore = request.transaction?.onCancel;
    if (invite && request.transaction) request.transaction.onCancel = (cancel) => this.#onCancel(cancel);
  }

  start(): void {
    if (this.#request.method === 'INVITE') this.#response.sendMessage(this.#response.build(100));
    this.#startNextGroup();
  }

  copy(): SipRequest {
    return this.#base!.clone();
  }

  branchResponded(branch: Branch, response: SipResponse): void {
    const copy = response.clone();
    copy.headers.shift('Via');
    if (!copy.headers.has('Via')) return;
    if (!this.#show(copy, branch)) return;
    const { status } = copy;
    if (status < 200) {
      if (status > 100 && !this.#finished) this.#response.sendMessage(copy);
      return;
    }
    if (status < 300) {
      this.#onSuccess(branch, copy);
      return;
    }
    if (status === 430 || status === 408) this.#onFlowLost(branch, { response: copy, target: branch.target });
    else this.#onFinal(branch, { response: copy, target: branch.target });
  }

  /** @returns false when the user failed on it: then it must not go upstream, for what he wanted to take out is still in it. */
  #show(response: SipResponse, branch: Branch): boolean {
    try {
      this.#options.onResponse?.(response, branch.target);
      return true;
    } catch (error) {
      this.environment.log.error(
        { err: error, callId: this.#request.callId },
        'a response could not be forwarded',
      );
      if (response.status >= 200)
        this.#onFinal(branch, { response: this.#response.build(502), target: branch.target });
      return false;
    }
  }

  branchFailed(branch: Branch, status: 408 | 430 | 503): void {
    const response = this.#response.build(this.#cancelled && status === 408 ? 487 : status);
    const candidate = { response, target: branch.target };
    // RFC 5626 §7: another flow of the same instance, never two of them at once
    this.#onFlowLost(branch, candidate);
  }

  #onSuccess(branch: Branch, response: SipResponse): void {
    this.#remove(branch);
    this.#closed = true;
    // further 2xx may come for half a minute, and no branch
    this.#base = undefined;
    const invite = this.#request.method === 'INVITE';
    const result = { status: response.status, target: branch.target, response };
    // several 2xx to INVITE all go upstream (RFC 3261 §16.7 step 5); to other requests only the first
    if (invite) this.#response.sendMessage(response);
    if (invite) this.#finish(result);
    else this.#conclude(result, true);
    this.#cancelRunning(this.#options.cancelReason ?? COMPLETED_ELSEWHERE);
  }

  #onFlowLost(branch: Branch, candidate: Candidate<ProxyTarget>): void {
    const [next, ...rest] = branch.target.alternatives ?? [];
    if (!next || this.#closed) {
      this.#onFinal(branch, candidate);
      return;
    }
    this.#remove(branch);
    this.#startBranch(
      new Branch(this, { ...next, alternatives: [...(next.alternatives ?? []), ...rest] }, branch.breadth),
    );
  }

  #onFinal(branch: Branch, candidate: Candidate<ProxyTarget>): void {
    this.#remove(branch);
    if (this.#finished) return;
    this.#finals.push(candidate);
    if (candidate.response.status >= 600) {
      this.#closed = true;
      this.#cancelRunning(undefined);
    }
    if (this.#running.length === 0) this.#startNextGroup();
  }

  /** Starts as many targets as Max-Breadth allows at once; the rest of a group waits (RFC 5393 §5.3.3). */
  #startNextGroup(): void {
    while (!this.#closed && this.#running.length === 0) {
      const group = this.#groups[0];
      if (!group) break;
      const targets = group.splice(0, this.#maxBreadth);
      if (group.length === 0) this.#groups.shift();
      const share = Math.trunc(this.#maxBreadth / Math.max(1, targets.length));
      const extra = this.#maxBreadth - share * targets.length;
      const branches = targets.map((target, i) => new Branch(this, target, share + (i < extra ? 1 : 0)));
      this.#running = branches.slice();
      for (const branch of branches) if (!this.#closed) this.#startBranch(branch);
    }
    if (this.#running.length === 0 && !this.#finished) this.#sendBest();
  }

  #startBranch(branch: Branch): void {
    if (!this.#running.includes(branch)) this.#running.push(branch);
    try {
      branch.start();
    } catch (error) {
      this.environment.log.warn(
        { err: error, uri: branch.target.uri },
        'request could not be built for a target',
      );
      branch.onFailure('transport');
    }
  }

  #sendBest(): void {
    const best = bestOf(this.#finals);
    const response = this.#upstream(best?.response ?? this.#response.build(this.#cancelled ? 487 : 408));
    aggregateChallenges(
      response,
      this.#finals.map((candidate) => candidate.response),
    );
    // RFC 4320 §4.2: a 408 to another method than INVITE comes too late for everybody
    const send = response.status !== 408 || this.#request.method === 'INVITE';
    this.#conclude({ status: response.status, target: best?.target, response }, send);
  }

  /** Sends the final response upstream, unless the user of the proxy answers in its place. */
  #conclude(result: ProxyResult & { readonly response: SipResponse }, send: boolean): void {
    if (this.#deciding || this.#finished) return;
    const forward = (): void => {
      if (send) this.#response.sendMessage(result.response);
      this.#finish(result);
    };
    if (!this.#options.takesOver || this.#cancelled) {
      forward();
      return;
    }
    this.#deciding = true;
    void this.#takenOver(result).then((taken) => {
      if (this.#cancelled) this.#response.sendMessage(this.#response.build(487));
      else if (!taken) {
        forward();
        return;
      } else if (this.#request.transaction) this.#request.transaction.onCancel = this.#onCancelBefore;
      this.#finish(result);
    });
  }

  async #takenOver(result: ProxyResult): Promise<boolean> {
    try {
      return (await this.#options.takesOver?.(result)) ?? false;
    } catch (error) {
      this.environment.log.error(
        { err: error, callId: this.#request.callId },
        'who answers could not be decided',
      );
      return false;
    }
  }

  /** What the best response becomes on its way upstream. */
  #upstream(best: SipResponse): SipResponse {
    // a 503 would tell the caller that nobody here can serve him (RFC 3261 §16.7 step 6)
    if (best.status === 503) return this.#response.build(500);
    // a flow is a matter between the registrar and its edge (RFC 5626 §11.5), not of the caller
    if (best.status === 430 && !this.#request.recordRouted) return this.#response.build(480);
    return best;
  }

  #onCancel(cancel: SipRequest): void {
    if (this.#finished) return;
    this.#closed = true;
    this.#cancelled = true;
    this.#request.cancelled(cancel);
    this.#cancelRunning(cancel.headers.lines('Reason').join(', ') || undefined);
  }

  /** Only an INVITE can be cancelled (RFC 3261 §9.1); branches of other methods are waited for. */
  #cancelRunning(reason: string | undefined): void {
    if (this.#request.method !== 'INVITE') return;
    for (const branch of this.#running.slice()) branch.cancel(reason);
  }

  #remove(branch: Branch): void {
    const index = this.#running.indexOf(branch);
    if (index >= 0) this.#running.splice(index, 1);
  }

  #finish(result: ProxyResult): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#onDone?.(result);
    // it knows the result, with the whole response
    this.#onDone = undefined;
  }
}
