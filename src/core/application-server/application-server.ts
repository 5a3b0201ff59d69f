import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { Trail } from '../../base/trail.js';
import type { SipResponse } from '../../sip/message/message.js';
import type { ProxyResult, ServerRequest, ServerResponse, SipStack } from '../../sip/stack.js';
import { DefaultTriggers, FROM_START, ServiceChain, serviceAt } from '../chain.js';
import '../errors.js';
import { HostedServices } from '../hosted-services.js';
import { editThrough, noLayers, showThrough, takingOver, type Layers } from '../layers.js';
import { OriginalDialogs, type ChainPosition } from '../original-dialog.js';
import type { SendingDevice, Service, ServiceSubject, SessionCase } from '../service.js';
import { callerDevice, type KnownDevices } from './caller-device.js';
import { OwnRequests } from './own-requests.js';
import { servedUser } from './served-user.js';

export interface ApplicationServerOptions {
  readonly stack: SipStack;
  readonly clock: Clock;
  readonly trail: Trail;
  /** IP addresses of the core's nodes: nobody else is served. */
  readonly trusted: ReadonlySet<string>;
  /** Where requests go that services start themselves; undefined when no core is known. */
  readonly core: string | undefined;
  /** What the core has told of its users. */
  readonly devices: KnownDevices;
  /** Home domains, lower-case. */
  readonly domains: readonly string[];
  /** Milliseconds of Timer C. */
  readonly timerC: number;
  /** Signs the Routes by which requests of services come back here. */
  readonly originalDialogKey: Uint8Array;
}

/**
 * Services behind somebody else's S-CSCF (3GPP TS 24.229 §5.7): takes requests on ISC, leads them through the services here, and
 * gives them back over the topmost Route that remains, which holds the core's original dialog identifier.
 */
export class ApplicationServer extends HostedServices {
  readonly #options: ApplicationServerOptions;
  readonly #own: OwnRequests;
  readonly #chain: ServiceChain;

  constructor(options: ApplicationServerOptions) {
    const { stack, clock, trail, originalDialogKey } = options;
    super(stack, new OriginalDialogs(originalDialogKey, clock, () => stack.listeners));
    this.#options = options;
    this.#own = new OwnRequests(clock);
    this.#chain = new ServiceChain({
      triggers: new DefaultTriggers(this.services),
      onward: (position, request) => [
        this.originalDialogs.route(position, request.source),
        ...request.headers.list('Route'),
      ],
      trail,
    });
  }

  protected placeAfter(index: number): number {
    return index;
  }

  close(): void {
    this.#own.close();
  }

  /**
   * @throws ParleyError `core-not-a-peer` for requests that do not come from the core or our own services, `core-foreign-gruu` for a
   * caller that claims to be a device of another user.
   */
  async handle(request: ServerRequest, response: ServerResponse): Promise<void> {
    const { stack, trusted, devices, domains } = this.#options;
    const inDialog = request.toTag !== undefined;
    const position = inDialog ? undefined : this.originalDialogs.read(request.ownRoute);
    if (!position && !request.recordRouted && !trusted.has(request.source.address))
      throw new ParleyError('core-not-a-peer');
    if (inDialog) {
      await this.#inDialog(request, response);
      return;
    }
    if (position) {
      this.#own.add(request.callId, position);
      await this.#run(request, response, position, position.after);
      return;
    }
    const { requestUri } = request;
    if (request.method === 'OPTIONS' && requestUri.user === undefined && !request.has('Route')) {
      response.send(200, { headers: { Accept: 'application/sdp' } });
      return;
    }
    const service = serviceAt(this.services, request);
    if (service) {
      await this.#serve(service, request, response);
      return;
    }
    const served = servedUser(request);
    if (!served) {
      await this.#giveBack(request, response, noLayers, undefined);
      return;
    }
    const { aor, sessionCase } = served;
    const set = devices.setOf(aor);
    const before = this.#own.positionOf(request.callId);
    const again = before?.set === set && sideOf(before.sessionCase) === sideOf(sessionCase);
    // nobody who waits behind the address of this server, and no way on: a loop would begin
    if (
      !request.has('Route') &&
      stack.isLocal(requestUri.host, requestUri.port) &&
      requestUri.user === undefined
    )
      throw new ParleyError('core-unknown-user');
    const device =
      sessionCase === 'originating' && !again
        ? await callerDevice(request, aor, devices, domains)
        : undefined;
    await this.#run(
      request,
      response,
      { servedUser: aor, sessionCase, set },
      again ? before.after : FROM_START,
      device,
    );
  }

  #serve(service: Service, request: ServerRequest, response: ServerResponse): Promise<ProxyResult> {
    return this.#chain.serve(service, request, response, noLayers, (layers) =>
      this.#giveBack(request, response, layers, undefined),
    );
  }

  #run(
    request: ServerRequest,
    response: ServerResponse,
    { servedUser: aor, sessionCase, set }: Omit<ChainPosition, 'after'>,
    after: number,
    device?: SendingDevice,
  ): Promise<ProxyResult> {
    const registered = sessionCase !== 'terminating-unregistered';
    const subject: ServiceSubject = { request, sessionCase, servedUser: aor, set, registered, device };
    return this.#chain.run(subject, response, after, noLayers, {
      onward: (layers) => this.#giveBack(request, response, layers, subject),
      withhold: false,
    });
  }

  /** Over the Route that remains; what a service made itself goes to the core, for its served user (3GPP TS 24.229 §5.7.3). */
  async #giveBack(
    request: ServerRequest,
    response: ServerResponse,
    layers: Layers,
    subject: ServiceSubject | undefined,
  ): Promise<ProxyResult> {
    const { stack, core, timerC, trail } = this.#options;
    const originating = subject?.sessionCase === 'originating';
    const toCore = !request.has('Route') && core !== undefined;
    const result = await stack.proxyRequest(request, response, {
      groups: [
        [
          {
            uri: request.uri,
            ...(toCore && { route: [`<${core};lr${originating ? ';orig' : ''}>`] }),
            edit: (headers) => {
              if (toCore && originating)
                headers.set('P-Served-User', `<${subject.servedUser}>;sescase=orig;regstate=reg`);
              editThrough(layers, headers);
            },
          },
        ],
      ],
      recordRoute: true,
      timerC,
      ...takingOver(layers),
      onResponse: (answer: SipResponse) => showThrough(layers, answer),
    });
    trail.record({
      code: 'core.given-back',
      outcome: result.status < 300 ? 'accepted' : 'refused',
      clause: '3GPP TS 24.229 §5.7.4',
      subject: subject?.servedUser,
      trace: request.callId,
      detail: `${request.method} ${result.status}`,
    });
    return result;
  }

  /** A request of a dialog that passed here follows its Route set; one of a dialog that nobody here has gets 481. */
  async #inDialog(request: ServerRequest, response: ServerResponse): Promise<void> {
    const { requestUri } = request;
    const { stack, timerC } = this.#options;
    const service = serviceAt(this.services, request);
    if (service) {
      // a dialog with the service at another node
      await this.#serve(service, request, response);
      return;
    }
    if (!request.has('Route') && stack.isLocal(requestUri.host, requestUri.port)) {
      if (request.method !== 'ACK') response.send(481);
      return;
    }
    const flow = request.has('Route') ? undefined : request.routeFlow;
    // a request that comes back is told when it leaves for good
    const returns = this.returns(request);
    if (!returns) await this.judge(request);
    const result = await stack.proxyRequest(request, response, {
      groups: [[{ uri: request.uri, ...(flow === undefined ? {} : { flow }) }]],
      recordRoute: true,
      timerC,
    });
    if (!returns) this.tell(request, result);
  }
}

const sideOf = (sessionCase: SessionCase): string => (sessionCase === 'originating' ? 'caller' : 'callee');
