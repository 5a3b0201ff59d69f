import type { Clock } from '../base/clock.js';
import { ParleyError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { Trail } from '../base/trail.js';
import type { Gruus } from '../registrar/gruus.js';
import type { ProxyResult, ServerRequest, ServerResponse, SipStack } from '../sip/stack.js';
import { assertedDevice, deviceOf, LocalSendingDevice, prepareCaller } from './caller.js';
import { ApplicationServers } from './application-servers.js';
import { FROM_START, ServiceChain, serviceAt, serviceForStranger } from './chain.js';
import { invitedService } from './cpm-invitation.js';
import { Delivery, type Passage } from './delivery.js';
import { findDestination, type Destination } from './destination.js';
import './errors.js';
import { HostedServices } from './hosted-services.js';
import { noLayers, type Layers } from './layers.js';
import { OriginalDialogs, type ChainPosition } from './original-dialog.js';
import { identifySender, servedBy, userOf, type SenderOptions, type User } from './sender.js';
import type { Service } from './service.js';
import { afterService, ProfileTriggers } from './triggers/profile-triggers.js';
import type { Profiles } from './triggers/profiles.js';

export interface CoreOptions extends SenderOptions {
  readonly stack: SipStack;
  readonly clock: Clock;
  readonly gruus: Gruus;
  /** Whether devices are shown by their GRUUs. */
  readonly gruu: boolean;
  readonly trail: Trail;
  readonly log: Logger;
  /** Home domains, lower-case. */
  readonly domains: readonly string[];
  /** Whether an address is that of another node of this server. */
  isNode?(address: { readonly address: string; readonly port: number }): boolean;
  readonly profiles: Profiles;
  /** Milliseconds that an application server has for a sign of life. */
  readonly serverPatience: number;
  /** Milliseconds of Timer C. */
  readonly timerC: number;
  /** Signs original dialog identifiers; the same on all nodes of the domain. */
  readonly originalDialogKey: Uint8Array;
}

/** Where a request enters its chain: at the start, or after the service that it comes back from. */
interface Entry {
  readonly set: string;
  readonly after: number;
}

/**
 * What an S-CSCF does with a request (3GPP TS 24.229 §5.4.3): who sent it, the caller's services, whom it is for, the
 * callee's services, the devices that get it. Requests inside dialogs follow their Route sets past all services.
 */
export class Core extends HostedServices {
  readonly #options: CoreOptions;
  readonly #servers: ApplicationServers;
  readonly #chain: ServiceChain;
  readonly #delivery: Delivery;

  constructor(options: CoreOptions) {
    const { stack, clock, trail, timerC, originalDialogKey } = options;
    super(stack, new OriginalDialogs(originalDialogKey, clock, () => stack.listeners));
    this.#options = options;
    this.#servers = new ApplicationServers({
      stack,
      clock,
      trail,
      originalDialogs: this.originalDialogs,
      timerC,
      patience: options.serverPatience,
    });
    this.#chain = new ServiceChain({
      triggers: new ProfileTriggers(this.services, options.profiles, options.subscribers),
      onward: (position, request) => [this.originalDialogs.route(position, request.source)],
      servers: this.#servers,
      trail,
    });
    this.#delivery = new Delivery(options, (request, contact) => this.bodyFor(request, contact));
  }

  protected placeAfter(index: number): number {
    return afterService(index);
  }

  /**
   * Route values that lead to a service for as long as the server lives: the Path of a device that the service stands for. It gets
   * the requests for that device's contact, which it {@link Service.serves}.
   */
  standIn(service: Service, user: { servedUser: string; set: string }): readonly string[] {
    const after = this.services.indexOf(service);
    return [this.originalDialogs.route({ ...user, sessionCase: 'terminating-registered', after }, 'endless')];
  }

  async handle(request: ServerRequest, response: ServerResponse): Promise<void> {
    const inDialog = request.toTag !== undefined;
    if (!inDialog && request.method === 'OPTIONS' && this.#isForServer(request)) {
      response.send(200, { headers: { Accept: 'application/sdp', Supported: 'path, gruu, outbound' } });
      return;
    }
    const position = this.originalDialogs.read(request.ownRoute);
    if (position && !inDialog) {
      await this.#resume(request, response, position);
      return;
    }
    const sender = await identifySender(request, this.#options);
    if (sender.kind === 'challenge') {
      response.send(sender.status, { headers: sender.headers });
      return;
    }
    const caller = await prepareCaller(request, sender, this.#options);
    const user = sender.kind === 'user' ? sender : undefined;
    const passage = this.#passage(request, response, user, caller);
    if (inDialog) await this.#inDialog(passage);
    else {
      const served = user ?? (sender.kind === 'peer' ? await servedBy(request, this.#options) : undefined);
      if (served) await this.#originate(passage, served, FROM_START);
      else await this.#terminate(passage, noLayers);
    }
  }

  #isForServer(request: ServerRequest): boolean {
    const { user, host, port } = request.requestUri;
    return (
      user === undefined && (this.#options.domains.includes(host) || this.#options.stack.isLocal(host, port))
    );
  }

  #passage(
    request: ServerRequest,
    response: ServerResponse,
    user: User | undefined,
    caller: Passage['caller'],
  ): Passage {
    return { request, response, caller, callerAor: user?.aor, service: invitedService(request) };
  }

  /** A request that a service sends back or makes anew: it goes on where the chain was left. */
  async #resume(request: ServerRequest, response: ServerResponse, position: ChainPosition): Promise<void> {
    const { sessionCase, servedUser, after, set, call } = position;
    this.#servers.cameBack(call);
    request.headers.remove('P-Served-User');
    this.#options.trail.record({
      code: 'core.chain-resumed',
      outcome: 'noted',
      clause: '3GPP TS 24.229 §5.4.3.2',
      subject: servedUser,
      trace: request.callId,
      detail: sessionCase,
    });
    if (sessionCase !== 'originating') {
      const caller = await assertedDevice(request, this.#options);
      await this.#terminate(this.#passage(request, response, undefined, caller), noLayers, { set, after });
      return;
    }
    const user = await userOf(servedUser, this.#options);
    const passage = this.#passage(request, response, user, user && deviceOf(request, user));
    if (user) await this.#originate(passage, user, after);
    else await this.#terminate(passage, noLayers);
  }

  #originate(passage: Passage, user: User, after: number): Promise<ProxyResult> {
    const { request, response, caller } = passage;
    const { gruus, gruu } = this.#options;
    const registered = (user.registration?.bindings.length ?? 0) > 0;
    return this.#chain.run(
      {
        request,
        sessionCase: 'originating',
        servedUser: user.aor,
        set: user.setKey,
        registered,
        device: caller && new LocalSendingDevice(caller, gruu ? gruus : undefined),
      },
      response,
      after,
      noLayers,
      {
        onward: (layers) => this.#terminate(passage, layers),
        withhold: passage.callerAor !== undefined,
      },
    );
  }

  async #terminate(passage: Passage, layers: Layers, entry?: Entry): Promise<ProxyResult> {
    const { request, response } = passage;
    const service = serviceAt(this.services, request);
    if (service) return this.#serve(service, passage, layers);
    const destination = await this.#destination(request);
    if (destination === 'elsewhere') return this.#delivery.out(passage, layers);
    if ('handle' in destination) return this.#serve(destination, passage, layers);
    const { aor, set, registration } = destination;
    const registered = registration !== undefined && registration.bindings.length > 0;
    return this.#chain.run(
      {
        request,
        sessionCase: registered ? 'terminating-registered' : 'terminating-unregistered',
        servedUser: aor,
        set,
        registered,
      },
      response,
      // a service that sends the request to somebody else starts that user's chain
      entry?.set === set ? entry.after : FROM_START,
      layers,
      {
        onward: (all) => this.#delivery.toDevices(passage, destination, all),
        withhold: passage.callerAor !== undefined,
      },
    );
  }

  #serve(service: Service, passage: Passage, layers: Layers): Promise<ProxyResult> {
    const { request, response } = passage;
    return this.#chain.serve(service, request, response, layers, (all) => this.#delivery.out(passage, all));
  }

  /** Where a Request-URI leads: a user, a service that takes strangers, or another domain. @throws ParleyError 404 */
  async #destination(request: ServerRequest): Promise<Destination | Service | 'elsewhere'> {
    try {
      return (await findDestination(request, this.#options)) ?? 'elsewhere';
    } catch (error) {
      const unknown = error instanceof ParleyError && error.code === 'core-unknown-user';
      const service = unknown ? await serviceForStranger(this.services, request) : undefined;
      if (!service) throw error;
      return service;
    }
  }

  async #inDialog(passage: Passage): Promise<void> {
    const service = serviceAt(this.services, passage.request);
    if (service) {
      // a dialog with the service at another node, or one that is over
      const result = await this.#serve(service, passage, noLayers);
      this.tell(passage.request, result);
      return;
    }
    if (this.returns(passage.request)) {
      // an application server is next, and the request comes back here behind it
      await this.#delivery.out(passage, noLayers);
      return;
    }
    await this.judge(passage.request);
    try {
      const destination = await findDestination(passage.request, this.#options);
      this.tell(
        passage.request,
        destination
          ? await this.#delivery.toDevices(passage, destination, noLayers)
          : await this.#delivery.out(passage, noLayers),
      );
    } catch (error) {
      if (error instanceof ParleyError)
        this.tell(passage.request, { status: error.sip, target: undefined, response: undefined });
      throw error;
    }
  }
}
