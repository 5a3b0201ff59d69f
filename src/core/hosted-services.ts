import type { LocalEnd } from '../sip/embedded/wire.js';
import type { ProxyResult, ServerRequest, SipStack } from '../sip/stack.js';
import { FROM_START } from './chain.js';
import type { OriginalDialogs } from './original-dialog.js';
import type { DeviceBody, Service, ServiceHost, SessionCase } from './service.js';

/** The services of this process in their order, and the Routes that lead to their places in it. */
export abstract class HostedServices implements ServiceHost {
  protected readonly services: Service[] = [];
  protected readonly originalDialogs: OriginalDialogs;
  readonly #stack: SipStack;

  protected constructor(stack: SipStack, originalDialogs: OriginalDialogs) {
    this.#stack = stack;
    this.originalDialogs = originalDialogs;
  }

  /** Position in the chain behind the service with that index. */
  protected abstract placeAfter(index: number): number;

  abstract handle(...call: Parameters<Parameters<SipStack['on']>[1]>): Promise<void>;

  /** Takes over every method but REGISTER. */
  attach(): void {
    this.#stack.on('*', (request, response) => this.handle(request, response));
  }

  use(service: Service): void {
    this.services.push(service);
  }

  packages(): readonly string[] {
    return this.services.flatMap(({ packages = [] }) => packages);
  }

  onward(
    service: Service,
    sessionCase: SessionCase,
    user: { servedUser: string; set: string },
    at?: LocalEnd,
  ): readonly string[] {
    const after = this.placeAfter(this.services.indexOf(service));
    return [this.originalDialogs.route({ ...user, sessionCase, after }, undefined, at)];
  }

  entrance(sessionCase: SessionCase, user: { servedUser: string; set: string }): readonly string[] {
    return [this.originalDialogs.route({ ...user, sessionCase, after: FROM_START })];
  }

  /** Whether a request inside a dialog comes back here: a server is next, and its Route set leads on through this one. */
  protected returns(request: ServerRequest): boolean {
    return (
      request.has('Route') &&
      request.addresses('Route').some(({ uri }) => this.#stack.isLocal(uri.host, uri.port))
    );
  }

  /** See {@link Service.bodyFor}. */
  protected bodyFor(request: ServerRequest, contact: string): DeviceBody | undefined {
    for (const service of this.services) {
      const own = service.bodyFor?.(request, contact);
      if (own) return own;
    }
    return undefined;
  }

  /** Lets the services judge a request inside a dialog. @throws ParleyError which refuses it. */
  protected async judge(request: ServerRequest): Promise<void> {
    for (const service of this.services) {
      const judged = service.judgeDialogRequest?.(request);
      if (judged) await judged;
    }
  }

  /** Tells the services what became of a request inside a dialog that went past them. */
  protected tell(request: ServerRequest, result: ProxyResult): void {
    for (const service of this.services) service.dialogRequest?.(request, result);
  }
}
