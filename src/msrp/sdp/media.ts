import { parse, type MediaAttributes, type SessionDescription } from 'sdp-transform';
import { msrpError } from '../errors.js';
import { parseMsrpPath, type MsrpUri } from '../uri.js';

export type Setup = 'active' | 'passive' | 'actpass';
export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

/** The attributes of RFC 5547, each as written after its colon. */
export interface FileDescription {
  readonly selector?: string | undefined;
  readonly transferId?: string | undefined;
  readonly disposition?: string | undefined;
  readonly date?: string | undefined;
  readonly icon?: string | undefined;
  readonly range?: string | undefined;
}

/** What an `m=message` section says (RFC 4975 §8, RFC 6135, RFC 6714, RFC 5547, RFC 7701 §8). */
export interface MsrpMedia {
  /** 0 when the section is refused. */
  readonly port: number;
  /** `TCP/MSRP`, `TCP/TLS/MSRP` or another that ends so. */
  readonly protocol: string;
  /** The connection address that applies to the section. */
  readonly host: string | undefined;
  /** From the next hop to the endpoint that wrote the description. */
  readonly path: readonly MsrpUri[];
  /** Absent, or `holdconn`, which counts as absent (RFC 6135 §4.2.1). */
  readonly setup: Setup | undefined;
  readonly cema: boolean;
  readonly acceptTypes: readonly string[];
  readonly acceptWrappedTypes: readonly string[];
  /** Octets of a whole message. */
  readonly maxSize: number | undefined;
  readonly direction: Direction;
  /** Algorithm, space, digest. */
  readonly fingerprint: string | undefined;
  /** Tokens of `a=chatroom`, undefined without the attribute. `nicknames` is given as `nickname`. */
  readonly chatroom: readonly string[] | undefined;
  readonly file: FileDescription | undefined;
}

const MAX_SDP_OCTETS = 65_536;

/** @throws ParleyError `msrp-sdp-malformed`. */
export function parseSdp(sdp: string | Uint8Array): SessionDescription {
  if (sdp.length > MAX_SDP_OCTETS) throw msrpError('msrp-sdp-malformed', 'too large');
  const text = typeof sdp === 'string' ? sdp : Buffer.from(sdp).toString('utf8');
  // a line that two readers end in different places would let them see two descriptions
  if (/\r(?!\n)|\0/.test(text)) throw msrpError('msrp-sdp-malformed', 'a CR alone, or NUL');
  const description = parse(text);
  if (typeof description.version !== 'number') throw msrpError('msrp-sdp-malformed', 'no v= line');
  return description;
}

/** Position of the first section that is MSRP, -1 without one. */
export function msrpIndex({ media }: SessionDescription): number {
  return media.findIndex(isMsrp);
}

/** Whether a section is MSRP. */
export function isMsrp({ type, protocol }: SessionDescription['media'][number]): boolean {
  return type === 'message' && /^TCP\/(?:.*\/)?MSRP$/i.test(String(protocol));
}

/**
 * Reads the first MSRP section.
 * @throws ParleyError `msrp-sdp-malformed`, or `msrp-sdp-unacceptable` when there is no such section, or one without
 * a path, with one that is none, or without port numbers in it.
 */
export function parseMsrpMedia(sdp: string | Uint8Array): MsrpMedia {
  const description = parseSdp(sdp);
  const media = description.media[msrpIndex(description)];
  if (!media) throw msrpError('msrp-sdp-unacceptable', 'no m=message for MSRP');
  return readSection(description, media);
}

/**
 * Reads all MSRP sections that are not refused, as a file is offered beside a conversation (RFC 5547 §8).
 * @throws ParleyError as {@link parseMsrpMedia}, but for a description without any.
 */
export function parseMsrpSections(sdp: string | Uint8Array): readonly MsrpMedia[] {
  const description = parseSdp(sdp);
  return description.media
    .filter((media) => isMsrp(media) && media.port !== 0)
    .map((media) => readSection(description, media));
}

/** The MSRP sections of an invitation's offer. */
export interface MsrpOffer {
  /** As {@link parseMsrpMedia} gives it. */
  readonly first: MsrpMedia;
  /** As {@link parseMsrpSections} gives them. */
  readonly sections: readonly MsrpMedia[];
}

/** Reads both in one go. @throws ParleyError as {@link parseMsrpMedia}. */
export function parseMsrpOffer(sdp: string | Uint8Array): MsrpOffer {
  const description = parseSdp(sdp);
  const [head, ...others] = description.media.filter(isMsrp);
  if (!head) throw msrpError('msrp-sdp-unacceptable', 'no m=message for MSRP');
  const first = readSection(description, head);
  const further = others.filter(({ port }) => port !== 0).map((media) => readSection(description, media));
  return { first, sections: head.port === 0 ? further : [first, ...further] };
}

function readSection(description: SessionDescription, media: SessionDescription['media'][number]): MsrpMedia {
  if (!Number.isInteger(media.port) || media.port < 0 || media.port > 65535)
    throw msrpError('msrp-sdp-malformed', 'port');
  const value = attributes(media);
  const fingerprint = media.fingerprint ?? description.fingerprint;
  const connection = media.connection ?? description.connection;
  const tokens = (name: string): readonly string[] => value(name)?.split(/ +/).filter(Boolean) ?? [];
  return {
    port: media.port,
    protocol: media.protocol,
    host: connection && String(connection.ip),
    path: media.port === 0 && value('path') === undefined ? [] : pathOf(value('path')),
    setup: setupOf(media.setup ?? description.setup),
    cema: value('msrp-cema') !== undefined,
    acceptTypes: tokens('accept-types'),
    acceptWrappedTypes: tokens('accept-wrapped-types'),
    maxSize: maxSizeOf(value('max-size')),
    direction: media.direction ?? description.direction ?? 'sendrecv',
    fingerprint: fingerprint && `${fingerprint.type} ${fingerprint.hash}`,
    chatroom:
      value('chatroom') === undefined
        ? undefined
        : tokens('chatroom').map((token) => (token === 'nicknames' ? 'nickname' : token)),
    file: fileOf(value),
  };
}

type Attribute = (name: string) => string | undefined;

/** The attributes that sdp-transform has no name for; the first of each name counts. */
function attributes(media: MediaAttributes): Attribute {
  // a value that looks like a number is one to the library
  const lines = (media.invalid ?? []).map((line) => String(line.value));
  return (name) => {
    const found = lines.find((line) => line === name || line.startsWith(`${name}:`));
    return found?.slice(name.length + 1).trim();
  };
}

function pathOf(value: string | undefined): readonly MsrpUri[] {
  if (!value) throw msrpError('msrp-sdp-unacceptable', 'no a=path');
  let path: readonly MsrpUri[];
  try {
    path = parseMsrpPath(value);
  } catch (error) {
    throw msrpError('msrp-sdp-unacceptable', 'a=path', { cause: error });
  }
  if (path.some((uri) => uri.port === undefined))
    throw msrpError('msrp-sdp-unacceptable', 'a=path without a port');
  if (path.at(-1)!.sessionId === undefined)
    throw msrpError('msrp-sdp-unacceptable', 'a=path without a session-id');
  return path;
}

function setupOf(value: string | undefined): Setup | undefined {
  return value === 'active' || value === 'passive' || value === 'actpass' ? value : undefined;
}

function maxSizeOf(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

function fileOf(value: Attribute): FileDescription | undefined {
  const file = {
    selector: value('file-selector'),
    transferId: value('file-transfer-id'),
    disposition: value('file-disposition'),
    date: value('file-date'),
    icon: value('file-icon'),
    range: value('file-range'),
  };
  return Object.values(file).some((field) => field !== undefined) ? file : undefined;
}
