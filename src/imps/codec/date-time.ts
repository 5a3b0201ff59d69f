/**
 * Date and time of CSP: text `yyyymmddThhmmssZ`, and in WBXML six octets of two reserved bits, year (12), month (4),
 * day (5), hour (5), minute (6), second (6) and the zone letter (8; zero means local time, no letter).
 */
const pattern = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)?(Z?)$/;

/** Six octets of the text, or undefined when it is not a date that they can hold. */
export function packDateTime(text: string): Uint8Array | undefined {
  const match = pattern.exec(text);
  if (!match) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (year > 4095 || month > 12 || day > 31 || hour > 23 || minute > 59 || second > 60) return undefined;
  return Uint8Array.of(
    year >> 6,
    ((year & 0x3f) << 2) | (month >> 2),
    ((month & 0x03) << 6) | (day << 1) | (hour >> 4),
    ((hour & 0x0f) << 4) | (minute >> 2),
    ((minute & 0x03) << 6) | second,
    match[7] === 'Z' ? 0x5a : 0,
  );
}

/** Text of six octets, or undefined when they are no date. */
export function unpackDateTime(bytes: Uint8Array): string | undefined {
  if (bytes.length !== 6) return undefined;
  const [b0, b1, b2, b3, b4, b5] = bytes as unknown as [number, number, number, number, number, number];
  const two = (value: number): string => String(value).padStart(2, '0');
  const year = ((b0 & 0x3f) << 6) | (b1 >> 2);
  const month = ((b1 & 0x03) << 2) | (b2 >> 6);
  const day = (b2 >> 1) & 0x1f;
  const hour = ((b2 & 0x01) << 4) | (b3 >> 4);
  const minute = ((b3 & 0x0f) << 2) | (b4 >> 6);
  const second = b4 & 0x3f;
  if (month > 12 || hour > 23 || minute > 59 || second > 60) return undefined;
  const zone = b5 >= 0x41 && b5 <= 0x5a ? String.fromCharCode(b5) : '';
  return `${String(year).padStart(4, '0')}${two(month)}${two(day)}T${two(hour)}${two(minute)}${two(second)}${zone}`;
}

/** @param time milliseconds since the epoch. */
export function formatDateTime(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
}

/** Milliseconds since the epoch; a time without zone is taken as UTC. Undefined when the text is no date. */
export function parseDateTime(text: string): number | undefined {
  const match = pattern.exec(text.trim());
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  const time = Date.UTC(+year!, +month! - 1, +day!, +hour!, +minute!, +(second ?? 0));
  return Number.isNaN(time) ? undefined : time;
}
