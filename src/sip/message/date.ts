const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

const SIP_DATE = new RegExp(
  `^(?:${DAYS.join('|')}), (\\d{2}) (${MONTHS.join('|')}) (\\d{4}) (\\d{2}):(\\d{2}):(\\d{2}) GMT$`,
);

/**
 * A Date value in milliseconds since 1970. GMT is the only time zone there is (RFC 3261 §20.17).
 * @returns undefined for anything else: only who needs the date minds (RFC 4475 §3.1.2.12).
 */
export function parseDate(text: string): number | undefined {
  const match = SIP_DATE.exec(text);
  if (!match) return undefined;
  const [day, hour, minute, second] = [match[1], match[4], match[5], match[6]].map(Number);
  if (hour! > 23 || minute! > 59 || second! > 59) return undefined;
  const time = Date.UTC(Number(match[3]), MONTHS.indexOf(match[2]!), day, hour, minute, second);
  return new Date(time).getUTCDate() === day ? time : undefined;
}

/** Writes a time in milliseconds as a Date value: `Sat, 13 Nov 2010 23:29:00 GMT`. */
export function writeDate(time: number): string {
  return new Date(time).toUTCString();
}
