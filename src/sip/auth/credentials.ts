import { ParleyError } from '../../base/errors.js';
import { afterDigestScheme, quoted, readParameters } from './parameters.js';

/** Value of Authorization or Proxy-Authorization (RFC 7616 §3.4), all values unquoted. */
export interface DigestCredentials {
  readonly username: string;
  readonly realm: string;
  /** Empty in the first REGISTER of IMS devices, which have nothing to answer yet. */
  readonly nonce: string;
  readonly uri: string;
  /** Lower-case hex; empty as the nonce. */
  readonly response: string;
  readonly algorithm: string | undefined;
  readonly cnonce: string | undefined;
  /** Nonce count as sent: up to eight hexadecimal digits. */
  readonly nc: string | undefined;
  readonly qop: string | undefined;
  readonly opaque: string | undefined;
  /** Base64 of AUTS after a synchronisation failure (RFC 3310 §3.4). */
  readonly auts: string | undefined;
  /** Set by an edge proxy (3GPP TS 24.229 §7.2A.2); to be believed only from a trusted one. */
  readonly integrityProtected: string | undefined;
}

/** The same while it is read: one shape from the first field on. */
class Draft implements DigestCredentials {
  username = '';
  realm = '';
  nonce = '';
  uri = '';
  response = '';
  algorithm: string | undefined = undefined;
  cnonce: string | undefined = undefined;
  nc: string | undefined = undefined;
  qop: string | undefined = undefined;
  opaque: string | undefined = undefined;
  auts: string | undefined = undefined;
  integrityProtected: string | undefined = undefined;
  /** One bit for each parameter that was seen. */
  seen = 0;
}

/**
 * Reads the value of Authorization or Proxy-Authorization.
 * @param uri stands in for one that is not written, as in MSRP (RFC 4976 §9.1).
 * @returns undefined for a scheme other than Digest.
 * @throws ParleyError `digest-malformed`, saying what is wrong.
 */
export function parseCredentials(value: string, uri = ''): DigestCredentials | undefined {
  const start = afterDigestScheme(value);
  if (start === undefined) return undefined;
  const draft = new Draft();
  readParameters(value, start, draft, assign);
  if ((draft.seen & 16) === 0) draft.uri = uri;
  if (draft.username === '') throw new ParleyError('digest-malformed', 'username is missing');
  if (draft.response !== '') validateAnswer(draft);
  return draft;
}

/** Writes credentials as a field value, quoting as RFC 7616 §3.4 demands. */
export function writeCredentials(credentials: DigestCredentials): string {
  const { algorithm, cnonce, nc, qop, opaque, auts } = credentials;
  let text =
    `Digest username=${quoted(credentials.username)}, realm=${quoted(credentials.realm)}, ` +
    `nonce=${quoted(credentials.nonce)}, uri=${quoted(credentials.uri)}, response="${credentials.response}"`;
  if (algorithm !== undefined) text += `, algorithm=${algorithm}`;
  if (cnonce !== undefined) text += `, cnonce=${quoted(cnonce)}`;
  if (qop !== undefined) text += `, qop=${qop}`;
  if (nc !== undefined) text += `, nc=${nc}`;
  if (opaque !== undefined) text += `, opaque=${quoted(opaque)}`;
  if (auts !== undefined) text += `, auts="${auts}"`;
  return text;
}

function validateAnswer(draft: Draft): void {
  if (!/^(?:[0-9a-f]{32}|[0-9a-f]{64})$/.test(draft.response)) {
    throw new ParleyError('digest-malformed', 'response is not 32 or 64 hexadecimal digits');
  }
  if (draft.nonce === '' || draft.uri === '' || draft.realm === '') {
    throw new ParleyError('digest-malformed', 'realm, nonce or uri is missing');
  }
  if (draft.qop === undefined) return;
  if (draft.cnonce === undefined) throw new ParleyError('digest-malformed', 'qop without cnonce');
  if (draft.nc === undefined) throw new ParleyError('digest-malformed', 'qop without nc');
}

/** Parameters by lower-case name; the bit tells which were seen. A number is told apart faster than a name. */
const fields: ReadonlyMap<string, number> = new Map([
  ['username', 1],
  ['username*', 2],
  ['realm', 4],
  ['nonce', 8],
  ['uri', 16],
  ['response', 32],
  ['algorithm', 64],
  ['cnonce', 128],
  ['nc', 256],
  ['qop', 512],
  ['opaque', 1024],
  ['auts', 2048],
  ['integrity-protected', 4096],
]);

function assign(draft: Draft, name: string, value: string): void {
  const field = fields.get(name);
  if (field === undefined) return; // unknown parameters are ignored (RFC 7616 §3.4)
  // username beside username* is an error as well (RFC 7616 §3.4)
  if ((draft.seen & (field < 4 ? 3 : field)) !== 0) {
    throw new ParleyError('digest-malformed', 'a parameter appears twice');
  }
  draft.seen |= field;
  switch (field) {
    case 1:
      draft.username = value;
      break;
    case 2:
      draft.username = extendedValue(value);
      break;
    case 4:
      draft.realm = value;
      break;
    case 8:
      draft.nonce = value;
      break;
    case 16:
      draft.uri = value;
      break;
    case 32:
      draft.response = value.toLowerCase();
      break;
    case 64:
      draft.algorithm = value;
      break;
    case 128:
      draft.cnonce = value;
      break;
    case 256:
      if (!/^[0-9a-f]{1,8}$/i.test(value)) throw new ParleyError('digest-malformed', 'nc is not hexadecimal');
      draft.nc = value;
      break;
    case 512:
      draft.qop = value;
      break;
    case 1024:
      draft.opaque = value;
      break;
    case 2048:
      draft.auts = value;
      break;
    case 4096:
      draft.integrityProtected = value.toLowerCase();
      break;
  }
}

/** `UTF-8''` and percent-encoded octets (RFC 5987 §3.2). */
function extendedValue(value: string): string {
  const match = /^utf-8'[^']*'(.*)$/is.exec(value);
  try {
    if (match) return decodeURIComponent(match[1]!);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
  }
  throw new ParleyError('digest-malformed', 'username* is not UTF-8 in extended notation');
}
