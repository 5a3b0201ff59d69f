import { ParleyError } from '../base/errors.js';
import { parseAor } from '../identity/aor.js';
import type { Gruus } from '../registrar/gruus.js';
import type { Registrar } from '../registrar/registrar.js';
import type { Binding, Registration } from '../registrar/registration.js';
import type { ServerRequest, SipStack } from '../sip/stack.js';
import './errors.js';

/** What a Request-URI of the home domain stands for. */
export interface Destination {
  readonly kind: 'aor' | 'gruu';
  /** The identity called, canonical. */
  readonly aor: string;
  readonly set: string;
  readonly registration: Registration | undefined;
  readonly bindings: readonly Binding[];
}

export interface DestinationOptions {
  readonly stack: SipStack;
  readonly registrar: Registrar;
  readonly gruus: Gruus;
  /** Home domains, lower-case. */
  readonly domains: readonly string[];
}

/** @returns undefined when the Request-URI belongs to another domain. @throws ParleyError 404 */
export async function findDestination(
  request: ServerRequest,
  options: DestinationOptions,
): Promise<Destination | undefined> {
  const { requestUri, uri } = request;
  const { registrar, gruus, domains } = options;
  if (requestUri.isSip) {
    const local = domains.includes(requestUri.host);
    if (!local && !isOwnAddress(request, options)) return undefined;
    const target = local ? await gruus.resolve(uri, (aor) => registrar.setOf(aor)) : undefined;
    if (target?.kind === 'invalid') throw new ParleyError('core-gruu-invalid');
    if (target) {
      const { aor, set, matches } = target;
      const registration = await registrar.lookup(set);
      return { kind: 'gruu', aor, set, registration, bindings: registration?.bindings.filter(matches) ?? [] };
    }
  } else if (requestUri.scheme !== 'tel') {
    throw new ParleyError('core-unknown-user', `scheme ${requestUri.scheme}`);
  }
  const aor = aorOf(request, domains);
  const set = await registrar.setOf(aor);
  if (set === undefined) throw new ParleyError('core-unknown-user');
  const registration = await registrar.lookup(set);
  return { kind: 'aor', aor, set, registration, bindings: registration?.bindings ?? [] };
}

/** A user of this server addressed by the server's own address instead of the domain, as test tools do. */
function isOwnAddress(request: ServerRequest, { stack }: DestinationOptions): boolean {
  const { user, host, port } = request.requestUri;
  return user !== undefined && stack.isLocal(host, port);
}

function aorOf(request: ServerRequest, domains: readonly string[]): string {
  if (!request.requestUri.isSip || domains.includes(request.requestUri.host)) return parseAor(request.uri);
  return parseAor(`sip:${request.requestUri.user ?? ''}@${domains[0]!}`);
}
