import { write, type MediaDescription, type SessionDescription } from 'sdp-transform';
import { isIPv6 } from 'node:net';
import { msrpError } from '../errors.js';
import type { MsrpUri } from '../uri.js';
import {
  msrpIndex,
  parseSdp,
  type Direction,
  type FileDescription,
  type MsrpMedia,
  type Setup,
} from './media.js';

/** Our own side of a session, from which offers and answers are written. */
export interface LocalMedia {
  /** From the peer's next hop to us. */
  readonly path: readonly MsrpUri[];
  readonly setup: Setup;
  readonly cema: boolean;
  readonly acceptTypes: readonly string[];
  readonly acceptWrappedTypes?: readonly string[] | undefined;
  readonly maxSize?: number | undefined;
  readonly direction?: Direction | undefined;
  readonly fingerprint?: string | undefined;
  readonly chatroom?: readonly string[] | undefined;
  readonly file?: FileDescription | undefined;
}

/** The `o=` line (RFC 8866 §5.2): the version grows when the description changes. */
export interface SdpOrigin {
  readonly username?: string | undefined;
  readonly sessionId: string;
  readonly version: number;
}

/** A session description with one MSRP section (RFC 4975 §8). */
export function formatOffer(media: LocalMedia, origin: SdpOrigin): string {
  return write(describe(origin, media, [section(media)]));
}

/**
 * The answer to an offer: its first MSRP section accepted, every other section refused (RFC 3264 §6).
 * @throws ParleyError `msrp-sdp-unacceptable` when there is no MSRP section.
 */
export function formatAnswer(offer: string | Uint8Array, media: LocalMedia, origin: SdpOrigin): string {
  const offered = parseSdp(offer);
  const index = msrpIndex(offered);
  if (index < 0) throw msrpError('msrp-sdp-unacceptable', 'no m=message for MSRP');
  const sections = offered.media.map((other, i) =>
    i === index ? { ...section(media), protocol: other.protocol } : refused(other),
  );
  return write(describe(origin, media, sections));
}

/** The value of `a=setup` in the answer to an offer (RFC 6135 §4.2.2). */
export function answerSetup(offered: Setup | undefined, behindNat: boolean): 'active' | 'passive' {
  if (offered === 'passive') return 'active';
  if (offered === 'actpass' && behindNat) return 'active';
  return 'passive';
}

/** Whether the offerer opens the connection: unless the answer says otherwise it does (RFC 6135 §4.2.2, RFC 4975 §5.4). */
export function offererIsActive(answered: Setup | undefined): boolean {
  return answered !== 'active';
}

/** Where the active side connects to. */
export function connectAddress(media: MsrpMedia): { host: string; port: number } {
  const next = media.path[0]!;
  const uri = { host: next.host, port: next.port! };
  // With relays the first URI counts (RFC 4975 §8.3). Else an address in c= and m= that differs is that of a
  // middlebox (RFC 6714 §4), whether or not the peer knows of CEMA: so clients in the field do.
  if (media.path.length > 1 || media.host === undefined || media.port === 0 || media.port === 9) return uri;
  return { host: media.host, port: media.port };
}

function describe(origin: SdpOrigin, media: LocalMedia, sections: MediaDescription[]): SessionDescription {
  const { host } = media.path[0]!;
  const ipVersion = isIPv6(host) ? 6 : 4;
  return {
    version: 0,
    origin: {
      username: origin.username ?? '-',
      sessionId: origin.sessionId,
      sessionVersion: origin.version,
      netType: 'IN',
      ipVer: ipVersion,
      address: host,
    },
    name: '-',
    connection: { version: ipVersion, ip: host },
    timing: { start: 0, stop: 0 },
    media: sections,
  };
}

function section(media: LocalMedia): MediaDescription {
  const first = media.path[0]!;
  const lines = [
    `accept-types:${media.acceptTypes.join(' ')}`,
    media.acceptWrappedTypes?.length
      ? `accept-wrapped-types:${media.acceptWrappedTypes.join(' ')}`
      : undefined,
    `path:${media.path.map((uri) => uri.text).join(' ')}`,
    media.maxSize === undefined ? undefined : `max-size:${media.maxSize}`,
    media.cema ? 'msrp-cema' : undefined,
    media.chatroom && ['chatroom', media.chatroom.join(' ')].filter(Boolean).join(':'),
    line('file-selector', media.file?.selector),
    line('file-transfer-id', media.file?.transferId),
    line('file-disposition', media.file?.disposition),
    line('file-date', media.file?.date),
    line('file-icon', media.file?.icon),
    line('file-range', media.file?.range),
  ];
  const [type = '', hash = ''] = media.fingerprint?.split(' ') ?? [];
  return {
    type: 'message',
    // the discard port, when nobody is to connect to us (RFC 4145 §4.1)
    port: media.setup === 'active' ? 9 : first.port!,
    protocol: first.secure ? 'TCP/TLS/MSRP' : 'TCP/MSRP',
    payloads: '*',
    rtp: [],
    fmtp: [],
    setup: media.setup,
    ...(media.direction && media.direction !== 'sendrecv' ? { direction: media.direction } : {}),
    ...(media.fingerprint === undefined ? {} : { fingerprint: { type, hash } }),
    invalid: lines.filter((value) => value !== undefined).map((value) => ({ value })),
  };
}

function line(name: string, value: string | undefined): string | undefined {
  return value === undefined ? undefined : `${name}:${value}`;
}

function refused(other: MediaDescription): MediaDescription {
  const { type, protocol, payloads } = other;
  return { type, port: 0, protocol, ...(payloads === undefined ? {} : { payloads }), rtp: [], fmtp: [] };
}
