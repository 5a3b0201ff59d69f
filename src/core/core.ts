import { ParleyError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { Trail } from '../base/trail.js';
import { parseAor } from '../identity/aor.js';
import { parseGruu } from '../identity/gruu.js';
import type { Gruus } from '../registrar/gruus.js';
import type { Binding, Registration } from '../registrar/registration.js';
import type { Headers } from '../sip/message/headers.js';
import type { SipResponse } from '../sip/message/message.js';
import type { ProxyTarget, ServerRequest, ServerResponse, SipStack } from '../sip/stack.js';
import { isCpmInvitation } from './cpm-invitation.js';
import { hideDevice, type Device } from './device-hiding.js';
import './errors.js';
import { identifySender, type Sender, type SenderOptions } from './sender.js';
import { bindingTarget, callerPreferences, chooseDevices, devices, type DeviceTarget } from './targets.js';
import { assertIdentity, distrust, wantsPrivacy, withholdFromUser } from './trust-domain.js';

export interface CoreOptions extends SenderOptions {
  readonly stack: SipStack;
  readonly gruus: Gruus;
  readonly trail: Trail;
  readonly log: Logger;
  /** Home domains, lower-case. */
  readonly domains: readonly string[];
  /** Milliseconds of Timer C. */
  readonly timerC: number;
}

/** What a Request-URI of the home domain stands for. */
interface Destination {
  readonly kind: 'aor' | 'gruu';
  readonly set: string;
  readonly registration: Registration | undefined;
  readonly bindings: readonly Binding[];
}

/** What an S-CSCF does with a request: who sent it, whom it is for, which devices get it (3GPP TS 24.229 §5.4.3). */
export class Core {
  readonly #options: CoreOptions;

  constructor(options: CoreOptions) {
    this.#options = options;
  }

  /** Takes over every method but REGISTER. */
  attach(): void {
    this.#options.stack.on('*', (request, response) => this.handle(request, response));
  }

  async handle(request: ServerRequest, response: ServerResponse): Promise<void> {
    const inDialog = request.toTag !== undefined;
    if (!inDialog && request.method === 'OPTIONS' && this.#isForServer(request)) {
      response.send(200, { headers: { Accept: 'application/sdp', Supported: 'path, gruu, outbound' } });
      return;
    }
    const sender = await identifySender(request, this.#options);
    if (sender.kind === 'challenge') {
      response.send(sender.status, { headers: sender.headers });
      return;
    }
    const cpm = isCpmInvitation(request);
    const caller = await this.#prepareCaller(request, sender);
    const editRequest = (headers: Headers): void => {
      hideDevice(headers, caller, this.#options.gruus, {
        asGruu: cpm,
        anonymous: wantsPrivacy(request.headers),
      });
    };
    const destination = await this.#destination(request);
    if (!destination) {
      await this.#forwardOut(request, response, sender, editRequest);
      return;
    }
    const targets = inDialog
      ? this.#dialogTargets(request, destination)
      : this.#deviceTargets(request, destination, cpm);
    await this.#forward(request, response, destination, targets, editRequest, cpm);
  }

  #isForServer(request: ServerRequest): boolean {
    const { user, host, port } = request.requestUri;
    return (
      user === undefined && (this.#options.domains.includes(host) || this.#options.stack.isLocal(host, port))
    );
  }

  /** Asserts the caller's identity and finds the device that sent the request. @throws ParleyError `core-foreign-gruu` */
  async #prepareCaller(
    request: ServerRequest,
    sender: Exclude<Sender, { kind: 'challenge' }>,
  ): Promise<Device | undefined> {
    if (sender.kind === 'peer') return undefined;
    if (sender.kind === 'participant') {
      distrust(request.headers);
      if (!sender.user) return undefined;
    }
    const user = sender.kind === 'participant' ? sender.user! : sender;
    assertIdentity(request.headers, user);
    const contact = request.contacts[0];
    const gruu = contact?.uri.isSip ? parseGruu(contact.uriText) : undefined;
    if (contact && gruu && this.#options.domains.includes(contact.uri.host)) {
      // RFC 5627 §6.1: a user may only put its own GRUUs into Contact
      const target = await this.#options.gruus.resolve(contact.uriText, (aor) =>
        this.#options.registrar.setOf(aor),
      );
      if (target?.kind !== 'instance' || target.set !== user.setKey)
        throw new ParleyError('core-foreign-gruu');
    }
    const { registration } = user;
    const binding =
      user.binding ?? registration?.bindings.find((candidate) => candidate.contact === contact?.uriText);
    return registration && binding ? { registration, binding } : undefined;
  }

  /** @returns undefined when the Request-URI belongs to another domain. @throws ParleyError 404 */
  async #destination(request: ServerRequest): Promise<Destination | undefined> {
    const { requestUri, uri } = request;
    const { registrar, gruus, domains } = this.#options;
    if (requestUri.isSip) {
      const local = domains.includes(requestUri.host);
      if (!local && !this.#isOwnAddress(request)) return undefined;
      const target = local ? await gruus.resolve(uri, (aor) => registrar.setOf(aor)) : undefined;
      if (target?.kind === 'invalid') throw new ParleyError('core-gruu-invalid');
      if (target) {
        const registration = await registrar.lookup(target.set);
        return {
          kind: 'gruu',
          set: target.set,
          registration,
          bindings: registration?.bindings.filter(target.matches) ?? [],
        };
      }
    } else if (requestUri.scheme !== 'tel') {
      throw new ParleyError('core-unknown-user', `scheme ${requestUri.scheme}`);
    }
    const set = await registrar.setOf(this.#aorOf(request));
    if (set === undefined) throw new ParleyError('core-unknown-user');
    const registration = await registrar.lookup(set);
    return { kind: 'aor', set, registration, bindings: registration?.bindings ?? [] };
  }

  /** A user of this server addressed by the server's own address instead of the domain, as test tools do. */
  #isOwnAddress(request: ServerRequest): boolean {
    const { user, host, port } = request.requestUri;
    return user !== undefined && this.#options.stack.isLocal(host, port);
  }

  #aorOf(request: ServerRequest): string {
    if (!request.requestUri.isSip || this.#options.domains.includes(request.requestUri.host))
      return parseAor(request.uri);
    return parseAor(`sip:${request.requestUri.user ?? ''}@${this.#options.domains[0]!}`);
  }

  /** The devices that a request outside a dialog goes to. @throws ParleyError 480 */
  #deviceTargets(
    request: ServerRequest,
    destination: Destination,
    cpm: boolean,
  ): readonly (readonly DeviceTarget[])[] {
    const { registration, bindings, kind } = destination;
    if (!registration || bindings.length === 0)
      throw new ParleyError(kind === 'gruu' ? 'core-device-not-registered' : 'core-not-registered');
    const groups = chooseDevices(devices(bindings), registration, callerPreferences(request, cpm));
    if (groups.length === 0) throw new ParleyError('core-no-device-matches');
    return groups;
  }

  /** The device that a request inside a dialog goes to: the caller chose it when the dialog began. @throws ParleyError 480 */
  #dialogTargets(
    request: ServerRequest,
    { kind, bindings }: Destination,
  ): readonly (readonly DeviceTarget[])[] {
    const found = devices(bindings);
    if (found.length === 0)
      throw new ParleyError(kind === 'gruu' ? 'core-device-not-registered' : 'core-not-registered');
    return [found.slice(0, kind === 'gruu' ? 1 : found.length)];
  }

  async #forward(
    request: ServerRequest,
    response: ServerResponse,
    destination: Destination,
    groups: readonly (readonly DeviceTarget[])[],
    editRequest: (headers: Headers) => void,
    cpm: boolean,
  ): Promise<void> {
    const { stack, trail, gruus, timerC } = this.#options;
    // a request inside a dialog that still has a Route set takes that way, not the Path (RFC 5627 §6.1)
    const keepPath = !(request.toTag !== undefined && request.has('Route'));
    const calledParty = destination.kind === 'gruu' ? request.uri : undefined;
    const edit = (headers: Headers): void => {
      editRequest(headers);
      withholdFromUser(headers);
      if (calledParty !== undefined) headers.set('P-Called-Party-ID', `<${calledParty}>`);
    };
    const bindings = new Map<ProxyTarget, Binding>();
    const target = (binding: Binding, others: readonly Binding[] = []): ProxyTarget => {
      const made: ProxyTarget = {
        ...bindingTarget(binding, edit, keepPath),
        alternatives: others.map((other) => target(other)),
      };
      bindings.set(made, binding);
      return made;
    };
    const result = await stack.proxyRequest(request, response, {
      groups: groups.map((group) => group.map((device) => target(device.binding, device.others))),
      recordRoute: true,
      timerC,
      onResponse: (answer: SipResponse, from: ProxyTarget) => {
        const binding = bindings.get(from);
        const device =
          destination.registration && binding
            ? { registration: destination.registration, binding }
            : undefined;
        hideDevice(answer.headers, device, gruus, { asGruu: cpm, anonymous: wantsPrivacy(answer.headers) });
        withholdFromUser(answer.headers);
      },
    });
    trail.record({
      code: destination.kind === 'gruu' ? 'core.routed-to-gruu' : 'core.routed-to-aor',
      outcome: result.status < 300 ? 'accepted' : 'refused',
      clause: destination.kind === 'gruu' ? 'RFC 5627 §6.1' : 'RFC 3261 §16.5',
      subject: destination.set,
      trace: request.callId,
      detail: `${request.method} ${result.status}`,
    });
  }

  /** A request to another domain, or to a peer's contact inside a dialog. Only for our users and peers: no open relay. */
  async #forwardOut(
    request: ServerRequest,
    response: ServerResponse,
    sender: Sender,
    edit: (headers: Headers) => void,
  ): Promise<void> {
    const { stack, trail, timerC } = this.#options;
    const flow = request.has('Route') ? undefined : request.routeFlow;
    const target = { uri: request.uri, edit, ...(flow === undefined ? {} : { flow }) };
    const result = await stack.proxyRequest(request, response, {
      groups: [[target]],
      recordRoute: true,
      timerC,
    });
    trail.record({
      code: 'core.forwarded-out',
      outcome: result.status < 300 ? 'accepted' : 'refused',
      clause: 'RFC 3261 §16.5',
      subject: sender.kind === 'user' ? sender.aor : undefined,
      trace: request.callId,
      detail: `${request.method} ${result.status}`,
    });
  }
}
