import { orNone, ParleyError } from '../base/errors.js';
import { parseAor, type Aor } from '../identity/aor.js';
import type { Authenticator } from '../registrar/authenticator.js';
import type { Registrar } from '../registrar/registrar.js';
import type { Binding, Registration } from '../registrar/registration.js';
import type { Subscribers } from '../registrar/subscribers.js';
import type { Address } from '../sip/message/address.js';
import type { HeaderMap } from '../sip/message/headers.js';
import { parseUri } from '../sip/message/uri.js';
import type { ServerRequest, SipStack } from '../sip/stack.js';
import './errors.js';

/** A user of this domain. */
export interface User {
  readonly kind: 'user';
  /** The identity asserted for this request. */
  readonly aor: string;
  /** The identities that may be asserted along with it, default first. */
  readonly set: readonly string[];
  /** Key of the set's registration. */
  readonly setKey: string;
  readonly registration: Registration | undefined;
  /** The binding over whose flow the request came. */
  readonly binding: Binding | undefined;
}

/** Who sent a request, as far as the network vouches for it. */
export type Sender =
  /** A node of the trust domain: what it asserts is believed. */
  | { readonly kind: 'peer' }
  /** A party of a dialog that passed here before, proven by our signed Record-Route; `user` when it is one of ours. */
  | { readonly kind: 'participant'; readonly user: User | undefined }
  | User
  | { readonly kind: 'challenge'; readonly status: 401 | 407; readonly headers: HeaderMap };

export interface SenderOptions {
  readonly registrar: Registrar;
  readonly subscribers: Subscribers;
  readonly authenticator: Authenticator;
  /** IP addresses of trusted peers. */
  readonly trusted: ReadonlySet<string>;
  readonly stack: Pick<SipStack, 'isLocal'>;
}

/**
 * Finds out who sent a request: another node by its seal, a trusted peer by its address, a registered user by the flow it came over, anyone else by
 * credentials (RFC 3261 §22.3, RFC 3325 §4, 3GPP TS 24.229 §5.2.6.3).
 * @throws ParleyError when the credentials are refused or the From is somebody else's.
 */
export async function identifySender(request: ServerRequest, options: SenderOptions): Promise<Sender> {
  if (request.fromNode || options.trusted.has(request.source.address)) return { kind: 'peer' };
  const preferred = preferredIdentity(request);
  const named = preferred === undefined ? undefined : await userOf(preferred, options);
  const user = over(isAnonymous(preferred) ? await flowOwner(request, options) : named, request);
  if (request.recordRouted) return { kind: 'participant', user };
  if (user) return user;
  const authentication = await options.authenticator.authenticate(request, 'proxy');
  if (authentication.kind === 'refused') throw authentication.error;
  if (authentication.kind === 'challenge') return authentication;
  return authenticatedUser(request, authentication.privateId, named, options);
}

/** The identity that a request wants asserted: P-Preferred-Identity (RFC 3325 §6), else its From. */
function preferredIdentity(request: ServerRequest): Aor | undefined {
  const address = request.addresses('P-Preferred-Identity')[0] ?? request.from;
  return orNone(() => parseAor(address.uriText));
}

/** Whether an identity is that of an anonymous URI (RFC 3323 §4.1.1.3). */
function isAnonymous(identity: Aor | undefined): boolean {
  return identity?.endsWith('@anonymous.invalid') === true;
}

/**
 * Who registered over the flow of a request, by its default identity (3GPP TS 24.229 §5.2.6.3.1). What this server sends itself comes
 * for whoever has a leg here, also over a flow that is bound to one user.
 */
async function flowOwner({ source }: ServerRequest, options: SenderOptions): Promise<User | undefined> {
  if (options.stack.isLocal(source.address, source.port)) return undefined;
  const set = await options.registrar.setOver(source.flow);
  return set === undefined ? undefined : userOf(set, options);
}

/** A user with the binding over whose flow a request came; undefined when none of its own was. */
function over(user: User | undefined, { source }: ServerRequest): User | undefined {
  const binding = user?.registration?.bindings.find(({ flow }) => flow === source.flow);
  return user && binding && { ...user, binding };
}

/** A user by one of its identities, undefined for strangers. */
export async function userOf(aor: string, options: SenderOptions): Promise<User | undefined> {
  const row = await options.subscribers.identity(aor);
  if (row?.barred === true) return undefined;
  const setKey = row?.set[0] ?? (await options.registrar.setOf(aor));
  if (setKey === undefined) return undefined;
  const registration = await options.registrar.lookup(setKey);
  const set = row && row.wildcard === undefined ? row.set : [aor];
  return { kind: 'user', aor, set, setKey, registration, binding: undefined };
}

/** The user that credentials prove; an identity that it does not own is replaced by its default one, a forged From refused. */
async function authenticatedUser(
  request: ServerRequest,
  privateId: string,
  claimed: User | undefined,
  options: SenderOptions,
): Promise<Sender> {
  const subscriber = await options.subscribers.get(privateId);
  const own = subscriber?.identities.filter(({ barred }) => barred !== true).map(({ aor }) => aor);
  if (!own) {
    // open authentication: nobody provisioned this user, and it is whom it says it is
    if (claimed) return claimed;
    throw new ParleyError('core-unknown-sender');
  }
  const isOwn = async (aor: string): Promise<boolean> => {
    const row = await options.subscribers.identity(aor);
    return row?.privateId === privateId && !row.barred;
  };
  const from = orNone(() => parseAor(request.from.uriText));
  if (from !== undefined && !(await isOwn(from)) && (await options.registrar.setOf(from)) !== undefined) {
    throw new ParleyError('core-from-not-yours');
  }
  const user = claimed && (await isOwn(claimed.aor)) ? claimed : own[0] && (await userOf(own[0], options));
  if (!user) throw new ParleyError('core-unknown-sender');
  return user;
}

/**
 * The user of this domain whose originating services a request of a trusted peer gets: the peer sent it to the Service-Route
 * that the registrar gave out, or an application server to a Route with `orig` (3GPP TS 24.229 §5.4.3.2).
 * Named by P-Served-User (RFC 5502 §5.1), else by P-Asserted-Identity.
 */
export async function servedBy(request: ServerRequest, options: SenderOptions): Promise<User | undefined> {
  if (request.ownRoute === undefined || !isOriginating(request.ownRoute)) return undefined;
  return namedUser(
    request.addresses('P-Served-User')[0] ?? request.addresses('P-Asserted-Identity')[0],
    options,
  );
}

/** The user of this domain that a request asserts as its sender, undefined for anybody else. */
export function assertedUser(request: ServerRequest, options: SenderOptions): Promise<User | undefined> {
  return namedUser(request.addresses('P-Asserted-Identity')[0], options);
}

async function namedUser(address: Address | undefined, options: SenderOptions): Promise<User | undefined> {
  const aor = address && orNone(() => parseAor(address.uriText));
  return aor === undefined ? undefined : userOf(aor, options);
}

function isOriginating(route: string): boolean {
  if (!route.includes('orig')) return false;
  const { user, params } = parseUri(route);
  return user === 'orig' || params.has('orig');
}
