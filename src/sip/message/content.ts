import { bad, parseParams, skipToken, splitList, unquote, type Params } from './lexer.js';
import { unescape } from './escapes.js';

/** A Content-Type, or one range of Accept (RFC 3261 §20.15, §20.1). */
export interface MediaType {
  /** `type/subtype` in lower case; `*` is possible on either side in Accept. */
  readonly type: string;
  readonly params: Params;
}

const MEDIA_TYPE = /^([A-Za-z0-9\-.!%*_+`'~]+)[ \t]*\/[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)/;

/** @throws ParleyError `sip-bad-header` */
export function parseMediaType(text: string, field = 'Content-Type'): MediaType {
  const match = MEDIA_TYPE.exec(text);
  if (!match) throw bad(field, 'not a media type');
  const type = `${match[1]!}/${match[2]!}`.toLowerCase();
  return { type, params: parseParams(text, match[0].length, field) };
}

/** A parameter of a media type with its quotes and escapes resolved. */
export function mediaParam(media: MediaType, name: string): string | undefined {
  const value = media.params.get(name);
  return value === undefined || value === null ? undefined : unquote(value);
}

/**
 * Whether the Accept lines of a message allow a body of `type` in its response (RFC 3261 §20.1): without the field only
 * `application/sdp`, with an empty one nothing. A range with q=0 refuses what it names.
 * @throws ParleyError `sip-bad-header`
 */
export function acceptsType(accept: readonly string[], type: string): boolean {
  if (accept.length === 0) return type === 'application/sdp';
  const wanted = type.toLowerCase();
  const family = wanted.slice(0, wanted.indexOf('/'));
  const quality = new Map<string, number>();
  for (const line of accept)
    for (const text of splitList(line)) {
      const range = parseMediaType(text, 'Accept');
      quality.set(range.type, Number(mediaParam(range, 'q') ?? 1));
    }
  return (quality.get(wanted) ?? quality.get(`${family}/*`) ?? quality.get('*/*') ?? 0) > 0;
}

/** How a body or body part is meant (RFC 3261 §20.11, RFC 2183). */
export interface ContentDisposition {
  /** `session`, `render`, `attachment`, `icon`, `by-reference`, `recipient-list`...; lower case. */
  readonly type: string;
  /** What to do with a body that is not understood: refuse the message, or ignore the body (RFC 3204 §4). */
  readonly handling: 'required' | 'optional';
  readonly params: Params;
}

/** @throws ParleyError `sip-bad-header` */
export function parseDisposition(text: string): ContentDisposition {
  const end = skipToken(text, 0);
  if (end === 0) throw bad('Content-Disposition', 'no disposition type');
  const params = parseParams(text, end, 'Content-Disposition');
  const handling = params.get('handling')?.toLowerCase() === 'optional' ? 'optional' : 'required';
  return { type: text.slice(0, end).toLowerCase(), handling, params };
}

/** The disposition of a body without Content-Disposition: SDP is a session, the rest is rendered (RFC 3261 §20.11). */
export function defaultDisposition(type: string): ContentDisposition {
  return {
    type: type === 'application/sdp' ? 'session' : 'render',
    handling: 'required',
    params: new Map<string, string | null>(),
  };
}

/** The identifier of Content-ID without its angle brackets (RFC 2045 §7, RFC 8262 §3.1). @throws ParleyError `sip-bad-header` */
export function parseContentId(text: string): string {
  const match = /^<([^<>\s]+)>$/.exec(text);
  if (!match) throw bad('Content-ID', 'not an identifier in angle brackets');
  return match[1]!;
}

/** The identifier in a `cid:` URI (RFC 2392 §2), undefined for another URI. */
export function contentIdOfUri(uri: string): string | undefined {
  if (!/^cid:/i.test(uri)) return undefined;
  const id = uri.slice(4);
  return id.includes('%') ? unescape(id) : id;
}
