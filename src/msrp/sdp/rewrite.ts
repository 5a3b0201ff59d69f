import { isIPv6 } from 'node:net';
import { msrpError } from '../errors.js';
import type { LocalMedia } from './local.js';
import { isMsrp, parseSdp } from './media.js';

/** Attributes of the hop, which a B2BUA writes anew; all others are between the endpoints. */
const ofTheHop = /^a=(?:path|setup|msrp-cema|fingerprint|connection)(?::|$)/;

/**
 * A peer's session description as the other leg is to see it: our path, address and role in its first MSRP section, further ones
 * refused since they would pass us by, everything else line by line as it was.
 * @throws ParleyError `msrp-sdp-malformed`, or `msrp-sdp-unacceptable` when there is no MSRP section.
 */
export function rewriteMsrpMedia(
  sdp: string | Uint8Array,
  own: Pick<LocalMedia, 'path' | 'setup' | 'cema' | 'fingerprint'>,
): string {
  const { media } = parseSdp(sdp);
  const index = media.findIndex(isMsrp);
  if (index < 0) throw msrpError('msrp-sdp-unacceptable', 'no m=message for MSRP');
  const lines = (typeof sdp === 'string' ? sdp : Buffer.from(sdp).toString('utf8')).split(/\r?\n/);
  const starts = lines.flatMap((line, i) => (line.startsWith('m=') ? [i] : []));
  for (const [i, other] of media.entries())
    if (i > index && isMsrp(other))
      lines[starts[i]!] = lines[starts[i]!]!.replace(/^m=message \d+/, 'm=message 0');
  const start = starts[index]!;
  const next = lines.findIndex((line, i) => i > start && line.startsWith('m='));
  const end = next < 0 ? lines.length : next;
  const first = own.path[0]!;
  const port = own.setup === 'active' ? 9 : first.port!;
  const kept = lines
    .slice(start + 1, end)
    .filter((line) => line !== '' && !line.startsWith('c=') && !ofTheHop.test(line));
  // RFC 8866 §5 wants i= before c=, and both before attributes
  const titles = kept.filter((line) => line.startsWith('i='));
  const section = [
    `m=message ${port} ${first.secure ? 'TCP/TLS/MSRP' : 'TCP/MSRP'} *`,
    ...titles,
    `c=IN IP${isIPv6(first.host) ? 6 : 4} ${first.host}`,
    ...kept.filter((line) => !line.startsWith('i=')),
    `a=path:${own.path.map((uri) => uri.text).join(' ')}`,
    `a=setup:${own.setup}`,
    ...(own.cema ? ['a=msrp-cema'] : []),
    ...(own.fingerprint === undefined ? [] : [`a=fingerprint:${own.fingerprint}`]),
  ];
  const rest = lines.slice(end).filter((line) => line !== '');
  return [...lines.slice(0, start), ...section, ...rest, ''].join('\r\n');
}
