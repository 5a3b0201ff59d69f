import { randomBytes } from 'node:crypto';
import type { Clock } from '../base/clock.js';
import type { Trail } from '../base/trail.js';
import type { Headers } from '../sip/message/headers.js';
import type { SipResponse } from '../sip/message/message.js';
import { parseUri } from '../sip/message/uri.js';
import type { ProxyResult, ServerResponse, SipStack } from '../sip/stack.js';
import { editThrough, showThrough, takenOver, type Layers } from './layers.js';
import type { OriginalDialogs } from './original-dialog.js';
import type { ServiceSubject } from './service.js';
import type { FilterCriterion } from './triggers/criteria.js';
import { withholdFromUntrusted } from './trust-domain.js';

export interface ApplicationServersOptions {
  readonly stack: SipStack;
  readonly clock: Clock;
  readonly trail: Trail;
  readonly originalDialogs: OriginalDialogs;
  /** Milliseconds within which a server must answer with more than 100, or send the request back. */
  readonly patience: number;
  /** Milliseconds of Timer C. */
  readonly timerC: number;
}

/** A request that a criterion sends to an application server. */
export interface IscCall {
  readonly subject: ServiceSubject;
  readonly response: ServerResponse;
  readonly criterion: FilterCriterion;
  /** The wildcarded identity that the served user belongs to. */
  readonly profileKey: string | undefined;
  /** What services before asked of its way. */
  readonly layers: Layers;
  /** The caller is outside the trust domain. */
  readonly withhold: boolean;
}

/**
 * Application servers on ISC (3GPP TS 24.229 §5.4.3.2, §5.4.3.3). A server gets the request with a Route that leads back here and
 * P-Served-User (RFC 5502); of an identity that belongs to a wildcarded one also P-Profile-Key (RFC 5002). It is alive as soon as it answers or the request comes back; otherwise, and when it answers 408 or 5xx before, the
 * criterion's default handling says whether the request goes on without it.
 */
export class ApplicationServers {
  readonly #options: ApplicationServersOptions;
  /** Called when the request of a call comes back, by the call's name in the original dialog identifier. */
  readonly #out = new Map<string, () => void>();

  constructor(options: ApplicationServersOptions) {
    this.#options = options;
  }

  /** Requests that servers have now. */
  get size(): number {
    return this.#out.size;
  }

  /** A server has sent its request back, or made a new one of it. */
  cameBack(call: string | undefined): void {
    if (call !== undefined) this.#out.get(call)?.();
  }

  /** @returns undefined when the request is to go on without the server. */
  async pass(isc: IscCall): Promise<ProxyResult | undefined> {
    const { subject, response, criterion, profileKey, layers, withhold } = isc;
    const { stack, clock, originalDialogs, patience, timerC } = this.#options;
    const { request, sessionCase, servedUser, set } = subject;
    const call = randomBytes(9).toString('base64url');
    const back = originalDialogs.route(
      { sessionCase, servedUser, set, after: criterion.priority, call },
      request.source,
    );
    const giveUp = new AbortController();
    const timer = clock.after(patience, () => giveUp.abort());
    let alive = false;
    const lives = (): void => {
      alive = true;
      timer.cancel();
    };
    this.#out.set(call, lives);
    let failed = false;
    try {
      const result = await stack.proxyRequest(request, response, {
        groups: [
          [
            {
              uri: request.uri,
              route: [routeTo(criterion.server), back],
              givenUp: giveUp.signal,
              edit: (headers: Headers) => {
                editThrough(layers, headers);
                headers.set('P-Served-User', servedUserOf(subject));
                if (profileKey !== undefined) headers.set('P-Profile-Key', `<${inUri(profileKey)}>`);
              },
            },
          ],
        ],
        recordRoute: true,
        timerC,
        onResponse: (answer: SipResponse) => {
          if (answer.status > 100 && answer.status < 500 && answer.status !== 408) lives();
          if (withhold) withholdFromUntrusted(answer.headers);
          showThrough(layers, answer);
        },
        takesOver: async (outcome: ProxyResult) => {
          failed = !alive && isFailure(outcome.status);
          if (failed && criterion.defaultHandling === 'continued') return true;
          // a proxy keeps a 408 to other methods for itself, as too late; here it comes in time
          return (await takenOver(layers, outcome)) || (failed && outcome.status === 408);
        },
      });
      if (!failed) return result;
      this.#note(subject, criterion, result.status);
      if (criterion.defaultHandling === 'continued')
        return response.finalStatus === undefined ? undefined : result;
      if (response.finalStatus === undefined) response.send(result.status);
      return result;
    } finally {
      timer.cancel();
      this.#out.delete(call);
    }
  }

  #note(
    { request, servedUser }: ServiceSubject,
    { server, defaultHandling }: FilterCriterion,
    status: number,
  ): void {
    this.#options.trail.record({
      code: defaultHandling === 'continued' ? 'core.server-passed-over' : 'core.server-failed',
      outcome: defaultHandling === 'continued' ? 'noted' : 'refused',
      clause: '3GPP TS 24.229 §5.4.3.2',
      subject: servedUser,
      trace: request.callId,
      detail: `${request.method} ${server} ${status}`,
    });
  }
}

const isFailure = (status: number): boolean => status === 408 || (status >= 500 && status < 600);

function routeTo(server: string): string {
  return `<${server}${parseUri(server).params.has('lr') ? '' : ';lr'}>`;
}

/** An expression with what a SIP URI cannot hold escaped (RFC 5002 §5, RFC 3261 §25.1). */
const inUri = (wildcard: string): string =>
  wildcard.replace(/[^\w.!~*'()&=+$,;?/%:@-]/gu, (sign) => encodeURIComponent(sign));

/** RFC 5502 §4. */
export function servedUserOf({ servedUser, sessionCase, registered }: ServiceSubject): string {
  return `<${servedUser}>;sescase=${sessionCase === 'originating' ? 'orig' : 'term'};regstate=${registered ? 'reg' : 'unreg'}`;
}
