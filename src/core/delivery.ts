import { ParleyError } from '../base/errors.js';
import type { Trail } from '../base/trail.js';
import type { CpmService } from '../identity/cpm-services.js';
import type { Gruus } from '../registrar/gruus.js';
import type { Binding } from '../registrar/registration.js';
import type { Headers } from '../sip/message/headers.js';
import type { SipResponse } from '../sip/message/message.js';
import type { ProxyResult, ProxyTarget, ServerRequest, ServerResponse, SipStack } from '../sip/stack.js';
import { isPagerMessage } from './cpm-invitation.js';
import type { Destination } from './destination.js';
import { hideDevice, type Device } from './device-hiding.js';
import './errors.js';
import { editThrough, showThrough, takingOver, type Layers } from './layers.js';
import type { DeviceBody, Service } from './service.js';
import { bindingTarget, callerPreferences, chooseDevices, devices, type DeviceTarget } from './targets.js';
import { wantsPrivacy, withholdFromUntrusted } from './trust-domain.js';

export interface DeliveryOptions {
  readonly stack: SipStack;
  readonly gruus: Gruus;
  /** Whether devices are shown by their GRUUs. */
  readonly gruu: boolean;
  readonly trail: Trail;
  /** IP addresses of trusted peers. */
  readonly trusted: ReadonlySet<string>;
  /** Whether an address is that of another node of this server. */
  isNode?(address: { readonly address: string; readonly port: number }): boolean;
  /** Milliseconds of Timer C. */
  readonly timerC: number;
}

/** Methods that P-Called-Party-ID may appear in (RFC 7976 §3, which updates RFC 7315 §5.7); in a dialog who was called is known. */
const calledPartyMethods: ReadonlySet<string> = new Set([
  'INVITE',
  'MESSAGE',
  'OPTIONS',
  'PUBLISH',
  'REFER',
  'SUBSCRIBE',
]);

const tellsCalledParty = ({ method, toTag }: ServerRequest): boolean =>
  toTag === undefined && calledPartyMethods.has(method);

/** A request that has been judged, on its way. */
export interface Passage {
  readonly request: ServerRequest;
  readonly response: ServerResponse;
  /** The caller's device, where it is one of ours. */
  readonly caller: Device | undefined;
  /** The caller's identity, for the trail. */
  readonly callerAor: string | undefined;
  /** What a device must have registered to be rung, where this is a CPM invitation. */
  readonly service: CpmService | undefined;
}

/** The last step: to the devices of a user, or out of the domain. */
export class Delivery {
  readonly #options: DeliveryOptions;

  readonly #bodyFor: NonNullable<Service['bodyFor']>;

  /** @param bodyFor see {@link Service.bodyFor}. */
  constructor(options: DeliveryOptions, bodyFor: NonNullable<Service['bodyFor']>) {
    this.#options = options;
    this.#bodyFor = bodyFor;
  }

  /** To the devices that the caller chose. @throws ParleyError 480 */
  async toDevices(passage: Passage, destination: Destination, layers: Layers): Promise<ProxyResult> {
    const { stack, trail, gruus, timerC } = this.#options;
    const { request, response, service } = passage;
    const groups =
      request.toTag === undefined ? deviceTargets(passage, destination) : dialogTargets(destination);
    // a request inside a dialog that still has a Route set takes that way, not the Path (RFC 5627 §6.1)
    const keepPath = !(request.toTag !== undefined && request.has('Route'));
    // the device knows by itself only what it registered (3GPP TS 24.229 §5.4.3.3)
    const isOther =
      destination.kind === 'gruu' || destination.bindings.some(({ aor }) => aor !== destination.aor);
    const calledParty = isOther && tellsCalledParty(request) ? request.uri : undefined;
    const edit = (headers: Headers): void => {
      this.#editForCallee(passage, layers, headers);
      withholdFromUntrusted(headers);
      if (calledParty !== undefined) headers.set('P-Called-Party-ID', `<${calledParty}>`);
    };
    const bindings = new Map<ProxyTarget, Binding>();
    const bodies = new Map<ProxyTarget, DeviceBody>();
    const begins = request.method === 'INVITE' && request.toTag === undefined && request.body.length > 0;
    const target = (binding: Binding, others: readonly Binding[] = []): ProxyTarget => {
      const own = begins ? this.#bodyFor(request, binding.contact) : undefined;
      const made: ProxyTarget = {
        ...bindingTarget(binding, edit, keepPath),
        ...(own && { body: own.body }),
        alternatives: others.map((other) => target(other)),
      };
      bindings.set(made, binding);
      if (own) bodies.set(made, own);
      return made;
    };
    const result = await stack.proxyRequest(request, response, {
      groups: groups.map((group) => group.map((device) => target(device.binding, device.others))),
      recordRoute: true,
      timerC,
      ...takingOver(layers),
      onResponse: (answer: SipResponse, from: ProxyTarget) => {
        const binding = bindings.get(from);
        if (answer.toTag !== undefined) bodies.get(from)?.answered(answer.toTag);
        const device =
          destination.registration && binding
            ? { registration: destination.registration, binding }
            : undefined;
        hideDevice(answer.headers, device, gruus, {
          asGruu: this.#options.gruu && service !== undefined,
          anonymous: wantsPrivacy(answer.headers),
        });
        withholdFromUntrusted(answer.headers);
        showThrough(layers, answer);
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
    return result;
  }

  /**
   * To another domain, or to a peer's contact inside a dialog. What only the trust domain may see goes no further than to peers
   * that are trusted by address and to other nodes (RFC 3325 §5).
   */
  async out(passage: Passage, layers: Layers): Promise<ProxyResult> {
    const { stack, trail, timerC, trusted } = this.#options;
    const { request, response, callerAor } = passage;
    const flow = request.has('Route') ? undefined : request.routeFlow;
    const next = nextPeer(request);
    const leavesTrust = !trusted.has(next.address) && this.#options.isNode?.(next) !== true;
    const edit = (headers: Headers): void => {
      this.#editForCallee(passage, layers, headers);
      if (leavesTrust) withholdFromUntrusted(headers);
    };
    const result = await stack.proxyRequest(request, response, {
      groups: [[{ uri: request.uri, edit, ...(flow === undefined ? {} : { flow }) }]],
      recordRoute: true,
      timerC,
      ...takingOver(layers),
      onResponse: (answer: SipResponse) => {
        if (callerAor !== undefined) withholdFromUntrusted(answer.headers);
        showThrough(layers, answer);
      },
    });
    trail.record({
      code: 'core.forwarded-out',
      outcome: result.status < 300 ? 'accepted' : 'refused',
      clause: 'RFC 3261 §16.5',
      subject: callerAor,
      trace: request.callId,
      detail: `${request.method} ${result.status}`,
    });
    return result;
  }

  #editForCallee({ request, caller, service }: Passage, layers: Layers, headers: Headers): void {
    editThrough(layers, headers);
    hideDevice(headers, caller, this.#options.gruus, {
      asGruu: this.#options.gruu && service !== undefined,
      anonymous: wantsPrivacy(request.headers),
    });
  }
}

/** Where a request leaves for: the host and port of its topmost Route, else of its Request-URI; IPv6 without brackets. */
function nextPeer(request: ServerRequest): { readonly address: string; readonly port: number } {
  const uri = request.addresses('Route')[0]?.uri ?? request.requestUri;
  const { host, port = 5060 } = uri;
  return { address: host.startsWith('[') ? host.slice(1, -1) : host, port };
}

/** The devices that a request outside a dialog goes to. @throws ParleyError 480 */
function deviceTargets(
  { request, service }: Passage,
  { registration, bindings, kind }: Destination,
): readonly (readonly DeviceTarget[])[] {
  if (!registration || bindings.length === 0)
    throw new ParleyError(kind === 'gruu' ? 'core-device-not-registered' : 'core-not-registered');
  const wanted = callerPreferences(request, service);
  const groups = chooseDevices(devices(bindings), registration, wanted, service);
  if (groups.length === 0) throw new ParleyError('core-no-device-matches');
  // a message is for all devices, whichever the callee prefers for calls (OMA CPM: delivery to all devices)
  return isPagerMessage(request) ? [groups.flat()] : groups;
}

/** The device that a request inside a dialog goes to: the caller chose it when the dialog began. @throws ParleyError 480 */
function dialogTargets({ kind, bindings }: Destination): readonly (readonly DeviceTarget[])[] {
  const found = devices(bindings);
  if (found.length === 0)
    throw new ParleyError(kind === 'gruu' ? 'core-device-not-registered' : 'core-not-registered');
  return [found.slice(0, kind === 'gruu' ? 1 : found.length)];
}
