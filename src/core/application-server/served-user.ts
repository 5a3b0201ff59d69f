import { ParleyError } from '../../base/errors.js';
import { parseAor } from '../../identity/aor.js';
import type { Address } from '../../sip/message/address.js';
import { parseUri } from '../../sip/message/uri.js';
import type { ServerRequest } from '../../sip/stack.js';
import type { SessionCase } from '../service.js';

/** For whom, and on which side of the session, a core asks its application server. */
export interface ServedUser {
  readonly aor: string;
  readonly sessionCase: SessionCase;
}

/**
 * The served user of a request on ISC: P-Served-User with `sescase` and `regstate` (RFC 5502 §6); without it the caller where our
 * Route has `orig` (3GPP TS 24.229 §5.7.1.3A), else the one called. Undefined when no address of record names one.
 */
export function servedUser(request: ServerRequest): ServedUser | undefined {
  const served = request.addresses('P-Served-User')[0];
  const originating = isOriginating(served, request.ownRoute);
  const address = served ?? (originating ? request.addresses('P-Asserted-Identity')[0] : undefined);
  const uri = address?.uriText ?? (originating ? request.from.uriText : request.uri);
  try {
    return { aor: parseAor(uri), sessionCase: caseOf(served, originating) };
  } catch (error) {
    if (error instanceof ParleyError) return undefined;
    throw error;
  }
}

function isOriginating(served: Address | undefined, ownRoute: string | undefined): boolean {
  const told = served?.params.get('sescase')?.toLowerCase();
  if (told !== undefined) return told.startsWith('orig');
  if (served?.params.has('orig-cdiv')) return true;
  if (ownRoute?.includes('orig') !== true) return false;
  const { user, params } = parseUri(ownRoute);
  return user === 'orig' || params.has('orig');
}

/** Who is not said to be unregistered is taken for registered: the core asks registered users' servers far more often. */
function caseOf(served: Address | undefined, originating: boolean): SessionCase {
  if (originating) return 'originating';
  return served?.params.get('regstate')?.toLowerCase() === 'unreg'
    ? 'terminating-unregistered'
    : 'terminating-registered';
}
