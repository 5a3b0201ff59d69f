/**
 * Injection files for SIPp: made-up users `user1`, `user2`, ... whose password is the name followed by
 * `-secret`. The same number always gives the same user and Instance IDs, so that a run can be repeated.
 */

/** Device `index` (0 to 2) of user number `user`: a phone with an IMEI when both are even, else a UUID. */
export function instanceId(user: number, index = 0): string {
  if ((user + index) % 2 === 0) {
    const tac = 35_000_000 + index * 1_000 + Math.trunc(user / 1_000_000);
    return `urn:gsma:imei:${tac}-${String(user % 1_000_000).padStart(6, '0')}-0`;
  }
  return `urn:uuid:00000000-0000-4000-8000-${(user * 4 + index).toString(16).padStart(12, '0')}`;
}

const name = (user: number): string => `user${user}`;
const password = (user: number): string => `${name(user)}-secret`;

function* lines(first: number, count: number, line: (user: number) => string): Generator<string> {
  yield 'SEQUENTIAL\n';
  for (let user = first; user < first + count; user++) yield `${line(user)}\n`;
}

/** Lines together, about 64 KiB at a time: a write for each of a million lines takes longer than the load. */
export function* blocks(lines: Iterable<string>): Generator<string> {
  let block = '';
  for (const line of lines) {
    block += line;
    if (block.length < 65_536) continue;
    yield block;
    block = '';
  }
  if (block !== '') yield block;
}

/** user ; password ; device name ; Instance ID */
export const deviceLines = (first: number, count: number): Generator<string> =>
  lines(first, count, (user) => `${name(user)};${password(user)};d1;${instanceId(user)}`);

/** user ; password ; Instance IDs of phone, tablet and laptop */
export const userLines = (first: number, count: number): Generator<string> =>
  lines(first, count, (user) =>
    [name(user), password(user), ...[0, 1, 2].map((index) => instanceId(user, index))].join(';'),
  );
