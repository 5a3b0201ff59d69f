import { ParleyError } from '../base/errors.js';
import type { Trail } from '../base/trail.js';
import type { SipResponse } from '../sip/message/message.js';
import type { ProxyResult, ServerRequest, ServerResponse } from '../sip/stack.js';
import './errors.js';
import { settle, showThrough, type Layers } from './layers.js';
import type { ApplicationServers } from './application-servers.js';
import type { ChainPosition } from './original-dialog.js';
import type { FilterCriterion } from './triggers/criteria.js';
import type { Next, Service, ServiceCall, ServiceSubject } from './service.js';

/** Whose turn it is, a service of this process or an application server; `position` is its place in the order, and grows along the chain. */
export type Step = ServiceStep | ServerStep;

interface ServerStep {
  readonly kind: 'server';
  readonly criterion: FilterCriterion;
  readonly position: number;
  /** The wildcarded identity that the served user belongs to, whose profile chose the server. */
  readonly profileKey?: string | undefined;
}

interface ServiceStep {
  readonly kind: 'service';
  readonly service: Service;
  readonly position: number;
}

/** Chooses services for requests. */
export interface Triggers {
  /** The first service after `after` that gets this request, undefined when none is left. */
  next(subject: ServiceSubject, after: number): Step | undefined | Promise<Step | undefined>;
}

/** Before the first criterion. */
export const FROM_START = -1;
/** Behind all of them. */
const LAST = Number.MAX_SAFE_INTEGER;

/** The way of a request beside its services. */
export interface Way {
  /** What comes after the last service. */
  onward(layers: Layers): Promise<ProxyResult>;
  /** The caller is outside the trust domain: what is internal is taken off responses. */
  readonly withhold: boolean;
}

export interface ChainOptions {
  readonly triggers: Triggers;
  /** Route values that bring a request of a service to what comes after it. */
  readonly onward: (position: ChainPosition, request: ServerRequest) => readonly string[];
  /** Undefined where no criteria choose any. */
  readonly servers?: ApplicationServers;
  readonly trail: Trail;
}

/** Leads requests through the services of a user, one after the other (3GPP TS 24.229 §5.4.3.2, §5.4.3.3). */
export class ServiceChain {
  readonly #options: ChainOptions;

  constructor(options: ChainOptions) {
    this.#options = options;
  }

  /** @param after position of the last service that had the request. @param layers what services before asked of its way. */
  async run(
    subject: ServiceSubject,
    response: ServerResponse,
    after: number,
    layers: Layers,
    way: Way,
  ): Promise<ProxyResult> {
    const found = this.#options.triggers.next(subject, after);
    const step = found instanceof Promise ? await found : found;
    if (!step) return way.onward(layers);
    this.#options.trail.record({
      code: 'core.service-triggered',
      outcome: 'noted',
      clause: subject.sessionCase === 'originating' ? '3GPP TS 24.229 §5.4.3.2' : '3GPP TS 24.229 §5.4.3.3',
      subject: subject.servedUser,
      trace: subject.request.callId,
      detail: `${subject.request.method} ${step.kind === 'server' ? step.criterion.server : step.service.name}`,
    });
    if (step.kind === 'server') {
      const { servers } = this.#options;
      const { criterion, profileKey } = step;
      const call = { subject, response, criterion, profileKey, layers, withhold: way.withhold };
      const passed = await servers?.pass(call);
      return passed ?? this.run(subject, response, step.position, layers, way);
    }
    return this.#handle(step, subject, response, layers, (all) =>
      this.run(subject, response, step.position, all, way),
    );
  }

  /** The same for a service that is itself what the request is for. @param onward out of the domain. */
  serve(
    service: Service,
    request: ServerRequest,
    response: ServerResponse,
    layers: Layers,
    onward: Way['onward'],
  ): Promise<ProxyResult> {
    const { uri } = request;
    const sessionCase = 'terminating-registered';
    const subject = { request, sessionCase, servedUser: uri, set: uri, registered: true } as const;
    return this.#handle({ kind: 'service', service, position: LAST }, subject, response, layers, onward);
  }

  async #handle(
    { service, position }: ServiceStep,
    subject: ServiceSubject,
    response: ServerResponse,
    layers: Layers,
    onward: Way['onward'],
  ): Promise<ProxyResult> {
    const { request } = subject;
    const { trail } = this.#options;
    let handedOn: Promise<ProxyResult> | undefined;
    const next: Next = (options) => {
      if (handedOn) throw new ParleyError('core-handed-on-twice');
      const all = options ? [...layers, options] : layers;
      // what a later service of this process answers passes those before it as a device's answer does
      if (options?.onResponse) response.onSend((answer) => options.onResponse!(answer));
      handedOn = settle({ request, response, trail }, all, onward(all));
      return handedOn;
    };
    await service.handle(new ChainedCall(subject, response, position, layers, this.#options.onward), next);
    return (await handedOn) ?? ownAnswer(response);
  }
}

/**
 * A request at a service. A class, since V8 gives each object of a literal with a getter a shape of its own, and nothing that
 * reads them stays fast.
 */
class ChainedCall implements ServiceCall {
  readonly request: ServerRequest;
  readonly response: ServerResponse;
  readonly sessionCase: ServiceCall['sessionCase'];
  readonly servedUser: string;
  readonly set: string;
  readonly registered: boolean;
  readonly device: ServiceCall['device'];
  readonly #position: number;
  readonly #layers: Layers;
  readonly #onward: ChainOptions['onward'];

  /** @param position of the service. @param layers what the services before it asked. */
  constructor(
    subject: ServiceSubject,
    response: ServerResponse,
    position: number,
    layers: Layers,
    onward: ChainOptions['onward'],
  ) {
    this.request = subject.request;
    this.response = response;
    this.sessionCase = subject.sessionCase;
    this.servedUser = subject.servedUser;
    this.set = subject.set;
    this.registered = subject.registered;
    this.device = subject.device;
    this.#position = position;
    this.#layers = layers;
    this.#onward = onward;
  }

  get onward(): readonly string[] {
    const { sessionCase, servedUser, set } = this;
    return this.#onward({ sessionCase, servedUser, set, after: this.#position }, this.request);
  }

  show(answer: SipResponse): void {
    showThrough(this.#layers, answer);
  }
}

/** What became of a request that a service ended itself. */
function ownAnswer(response: ServerResponse): ProxyResult {
  return { status: response.finalStatus ?? 0, target: undefined, response: undefined };
}

/** Services by their default triggers, in the order in which they were registered. */
export class DefaultTriggers implements Triggers {
  readonly #services: readonly Service[];

  /** @param services read at every request: it may grow. */
  constructor(services: readonly Service[]) {
    this.#services = services;
  }

  next(subject: ServiceSubject, after: number): Step | undefined {
    for (let position = after + 1; position < this.#services.length; position++) {
      const service = this.#services[position]!;
      if (service.matches?.(subject) === true) return { kind: 'service', service, position };
    }
    return undefined;
  }
}

/** The service that a Request-URI of no user here is for. */
export async function serviceForStranger(
  services: readonly Service[],
  request: ServerRequest,
): Promise<Service | undefined> {
  for (const service of services) if ((await service.servesStranger?.(request)) === true) return service;
  return undefined;
}

/** The service whose public service identity the Request-URI is. */
export function serviceAt(services: readonly Service[], request: ServerRequest): Service | undefined {
  for (const service of services) if (service.serves?.(request) === true) return service;
  return undefined;
}
