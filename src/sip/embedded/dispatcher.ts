import { ParleyError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import { FinalResponseError } from '../final-response-error.js';
import type { Handler } from '../stack.js';
import type { InboundRequest, InboundResponse } from './inbound.js';
import { askerOf, recordRefusal, refusalOf } from '../refusal.js';

/** Methods of the standards: 405 without handler, where an unknown method gets 501 (RFC 3261 §8.2.1, §21.5.2). */
const standard: ReadonlySet<string> = new Set([
  'ACK', 'BYE', 'CANCEL', 'INFO', 'INVITE', 'MESSAGE', 'NOTIFY', 'OPTIONS', 'PRACK', 'PUBLISH', 'REFER', 'REGISTER',
  'SUBSCRIBE', 'UPDATE',
]); // prettier-ignore

/** Hands requests to the handlers of their methods, and answers for handlers that fail or are not there. */
export class Dispatcher {
  readonly #handlers = new Map<string, Handler>();
  readonly #log: Logger;
  readonly #trail: Trail;
  #allow = '';

  constructor(log: Logger, trail: Trail) {
    this.#log = log;
    this.#trail = trail;
  }

  set(method: string, handler: Handler): void {
    this.#handlers.set(method, handler);
    const methods = [...this.#handlers.keys()].filter((name) => name !== '*');
    this.#allow = [...new Set(['ACK', 'BYE', 'CANCEL', 'PRACK', 'UPDATE', ...methods])].join(', ');
  }

  /** The methods that are handled, for Allow. */
  get allow(): string {
    return this.#allow;
  }

  dispatch(request: InboundRequest, response: InboundResponse): void {
    const handler = this.#handlers.get(request.method) ?? this.#handlers.get('*');
    if (handler) this.run(handler, request, response);
    else this.#refuse(request, response);
  }

  /** Calls a handler; what it throws or rejects with becomes the answer. */
  run(handler: Handler, request: InboundRequest, response: InboundResponse): void {
    try {
      const result = handler(request, response);
      if (result !== undefined) result.catch((error: unknown) => this.fail(error, request, response));
    } catch (error) {
      this.fail(error, request, response);
    }
  }

  /** Answers a request whose processing failed: with the status of a ParleyError, else with 500. */
  fail(error: unknown, request: InboundRequest, response: InboundResponse): void {
    // the answer to a caller whose second leg failed has gone out with that failure
    if (error instanceof FinalResponseError && response.finalStatus !== undefined) return;
    if (error instanceof ParleyError) recordRefusal(this.#trail, request, error);
    else {
      this.#log.error(
        { err: error, method: request.method, callId: request.callId },
        'request handler failed',
      );
      this.#trail.record({
        code: 'sip.handler-failed',
        outcome: 'refused',
        clause: 'RFC 3261 §8.2',
        subject: askerOf(request),
        trace: request.callId,
        detail: request.method,
      });
    }
    if (response.finalStatus !== undefined) return;
    if (error instanceof ParleyError) response.send(error.sip, refusalOf(error));
    else response.send(500);
  }

  #refuse(request: InboundRequest, response: InboundResponse): void {
    const status = request.toTag !== undefined ? 481 : standard.has(request.method) ? 405 : 501;
    this.#trail.record({
      code: 'sip.no-handler',
      outcome: 'refused',
      clause: status === 481 ? 'RFC 3261 §12.2.2' : 'RFC 3261 §8.2.1',
      trace: request.callId,
      detail: request.method,
    });
    response.send(status, status === 481 ? undefined : { headers: { Allow: this.#allow } });
  }
}
