import { ParleyError } from '../../base/errors.js';
import type { Trail } from '../../base/trail.js';
import { cpmServiceOf } from '../../core/cpm-invitation.js';
import type { Next, NextOptions, Service, ServiceCall } from '../../core/service.js';
import { cpmServices } from '../../identity/cpm-services.js';
import type { RegisteredDevice } from '../../reg-event/devices.js';
import type { SipRequest, SipResponse } from '../../sip/message/message.js';
import type { ServerRequest, SipStack } from '../../sip/stack.js';
import './errors.js';
import type { Capability, InterworkingFunction, Interworked } from './function.js';
import type { InterworkingRegistry } from './registry.js';

export interface SelectionOptions {
  readonly stack: SipStack;
  readonly trail: Trail;
  readonly registry: InterworkingRegistry;
  /** Header field that carries the Non-CPM Communication Service Identifier to and from SIP interworking functions. */
  readonly serviceHeader: string;
}

const CLAUSE = 'OMA CPM interworking selection';

/** What a device, or its domain, answers that does not know the service or the content (OMA CPM; `sessions.md` §9). */
const unserved: ReadonlySet<number> = new Set([404, 405, 415, 488, 606]);

/**
 * The Interworking Selection Function: requests to principals outside CPM go to the interworking function of their address form,
 * or of what their devices can do.
 */
export class InterworkingSelection implements Service {
  readonly name = 'cpm-interworking';
  readonly #options: SelectionOptions;

  constructor(options: SelectionOptions) {
    this.#options = options;
  }

  serves({ uri }: ServerRequest): boolean {
    return this.#options.registry.isForeign(uri);
  }

  async servesStranger({ uri }: ServerRequest): Promise<boolean> {
    return (await this.#options.registry.select(uri, undefined)) !== undefined;
  }

  async handle(call: ServiceCall, next: Next): Promise<void> {
    const { request } = call;
    const selected = await this.#options.registry.select(request.uri, capabilityOf(request));
    if (selected === undefined) throw this.#refused('core-unknown-user', request);
    if (selected === 'unable') throw this.#refused('interworking-unable', request);
    await this.#hand(selected, call, next);
  }

  /** For a user of CPM none of whose devices has the service. @returns whether a function took the request. */
  async byDevices(call: ServiceCall, devices: readonly RegisteredDevice[], next: Next): Promise<boolean> {
    const selected = this.#options.registry.selectByDevices(devices, capabilityOf(call.request));
    if (selected === undefined) return false;
    await this.#hand(selected, call, next);
    return true;
  }

  /** Whether there is any function at all. */
  get hasFunctions(): boolean {
    return this.#options.registry.list().length > 0;
  }

  /**
   * The function that may take a request which came back refused, because its recipient does not know the service.
   * @param devices of the recipient; none when it is no user here.
   */
  async afterRefusal(
    { request }: Pick<ServiceCall, 'request'>,
    status: number,
    devices: readonly RegisteredDevice[],
  ): Promise<InterworkingFunction | undefined> {
    const { registry } = this.#options;
    if (!unserved.has(status) || !this.hasFunctions) return undefined;
    const capability = capabilityOf(request);
    const byDevices = registry.selectByDevices(devices, capability);
    if (byDevices) return byDevices;
    const byAddress = await registry.select(request.uri, capability);
    return byAddress === 'unable' ? undefined : byAddress;
  }

  /**
   * Hands a request that came back refused to a function; for a SIP one it is forwarded once more.
   * @param asked what the service that retries asks of the request's way.
   */
  async retry(
    selected: InterworkingFunction,
    call: ServiceCall,
    asked: Pick<NextOptions, 'onResponse'> = {},
  ): Promise<void> {
    const { stack } = this.#options;
    const { request, response } = call;
    const shown = (answer: SipResponse): void => {
      asked.onResponse?.(answer);
      call.show(answer);
    };
    const forward: Next = () =>
      stack.proxyRequest(request, response, {
        groups: [[{ uri: request.uri }]],
        recordRoute: true,
        onResponse: shown,
      });
    await this.#hand(selected, call, forward, shown);
  }

  /** @param shown sees the responses that a proxy of the function forwards. */
  async #hand(
    selected: InterworkingFunction,
    call: ServiceCall,
    next: Next,
    shown: (answer: SipResponse) => void = (answer) => call.show(answer),
  ): Promise<void> {
    const { request, response } = call;
    const { target, service } = selected;
    this.#options.trail.record({
      code: 'cpm.interworked',
      outcome: 'noted',
      clause: CLAUSE,
      subject: request.uri,
      trace: request.callId,
      detail: `${request.method} ${selected.name}`,
    });
    if ('route' in target) {
      request.headers.prepend('Route', `<${target.route}>`);
      request.headers.set(this.#options.serviceHeader, service);
      await next();
      return;
    }
    const kind = capabilityOf(request);
    if (kind === undefined) throw this.#refused('interworking-unable', request);
    if (kind !== 'message')
      await target.invitation({
        ...interworked(request),
        kind,
        response,
        shown,
      });
    else
      response.send(
        await target.message({
          ...interworked(request),
          contentType: request.get('Content-Type') ?? 'text/plain',
          body: request.body,
          expires: request.number('Expires'),
        }),
      );
  }

  #refused(code: string, request: SipRequest): ParleyError {
    this.#options.trail.record({
      code: 'cpm.interworking-refused',
      outcome: 'refused',
      clause: CLAUSE,
      subject: request.uri,
      trace: request.callId,
      detail: code,
    });
    return new ParleyError(code);
  }
}

/** What a request needs of a service; undefined for methods that neither message nor invite. */
export function capabilityOf(request: SipRequest): Capability | undefined {
  if (request.method === 'MESSAGE') return 'message';
  if (request.method !== 'INVITE') return undefined;
  if (request.contacts[0]?.params.has('isfocus') === true) return 'group';
  switch (cpmServiceOf(request)) {
    case cpmServices.largeMessage:
    case cpmServices.largeMessageToGroup:
      return 'large-message';
    case cpmServices.fileTransfer:
    case cpmServices.fileTransferToGroup:
      return 'file-transfer';
    case cpmServices.groupSession:
      return 'group';
    default:
      return 'session';
  }
}

function interworked(request: ServerRequest): Interworked {
  const contact = request.contacts[0];
  const device = contact?.uri.isSip === true && contact.uri.params.has('gr') ? contact.uriText : undefined;
  return {
    sender: (request.addresses('P-Asserted-Identity')[0] ?? request.from).uriText,
    senderDevice: device,
    recipient: request.uri,
    conversationId: request.get('Conversation-ID'),
    contributionId: request.get('Contribution-ID'),
    inReplyTo: request.get('InReplyTo-Contribution-ID'),
    request,
  };
}
