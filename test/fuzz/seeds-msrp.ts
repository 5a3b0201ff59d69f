import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const one = 'msrp://peer.test:9/one;tcp';
const two = 'msrp://peer.test:9/two;tcp';
const here = (name: string): string => `msrp://127.0.0.1:2855/${name};tcp`;
const lease = 'msrps://relay.test:2855/lease;tcp';
let next = 0;

function request(
  method: string,
  to: string,
  from: string,
  fields: string[],
  body?: string,
  flag = '$',
): string {
  const id = `t${String(++next % 10).padStart(7, '0')}`;
  const head = [`MSRP ${id} ${method}`, `To-Path: ${to}`, `From-Path: ${from}`, ...fields, ''].join('\r\n');
  return `${head}${body === undefined ? '' : `\r\n${body}\r\n`}-------${id}${flag}\r\n`;
}

const text = 'Content-Type: text/plain';
const chunk = (
  to: string,
  range: string,
  body: string,
  flag = '$',
  more: string[] = [],
  from = one,
): string => request('SEND', to, from, ['Message-ID: m1', `Byte-Range: ${range}`, ...more, text], body, flag);

/** Talks of two peers with the node of `prepared-msrp.ts`: what the second connection says follows two NULs. */
const talks: readonly string[] = [
  chunk(here('holds'), '1-3/3', 'abc', '$', ['Success-Report: yes']),
  chunk(here('holds'), '1-3/6', 'abc', '+') + chunk(here('holds'), '4-6/6', 'def'),
  chunk(here('holds'), '4-6/6', 'def') + chunk(here('holds'), '1-3/6', 'abc', '+'),
  chunk(here('holds'), '1-*/*', 'x'.repeat(700), '+') + chunk(here('holds'), '701-*/*', 'y', '#'),
  chunk(here('streams'), '1-3/6', 'abc', '+') + chunk(here('streams'), '4-6/6', 'def'),
  chunk(here('left'), '1-3/6', 'abc', '+', ['X-Field: y']) +
    chunk(here('left'), '4-6/6', 'def', '$', ['Success-Report: yes']),
  `${chunk(here('left'), '1-3/3', 'abc')}\0\0${chunk(here('right'), '1-3/3', 'abc', '$', ['Failure-Report: partial'], two)}`,
  `\0\0${request('REPORT', here('right'), two, ['Message-ID: m1', 'Byte-Range: 1-3/3', 'Status: 000 200 OK'])}`,
  request('SEND', here('left'), one, ['Message-ID: m1'], undefined, '#'),
  request('NICKNAME', here('holds'), one, ['Use-Nickname: "x"']),
  request('AUTH', 'msrps://relay.test;tcp', one, ['Expires: 120']),
  request('AUTH', `${lease} msrps://beyond.test:2855;tcp`, one, ['Authorization: Digest username="x"']),
  chunk(`${lease} ${two}`, '1-3/3', 'abc', '$', ['Success-Report: yes']),
  `\0\0${chunk(`${lease} ${one}`, '1-*/*', 'abc', '+', [], two)}${request('REPORT', `${lease} ${one}`, two, ['Message-ID: m9', 'Status: 000 413 Stop'])}`,
  `\0\0${request('NICKNAME', `${lease} ${one}`, two, ['Use-Nickname: "x"', text], 'body')}`,
];

/** All fixtures of `test/msrp`, and talks. */
export function msrpSeeds(): Buffer[] {
  const root = join(import.meta.dirname, '../msrp/fixtures');
  // compiled, the module stands elsewhere
  const folder = root.includes('.cache') ? 'test/msrp/fixtures' : root;
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.\w+$/.test(name),
  );
  return [
    ...files.map((name) => readFileSync(join(folder, name))),
    ...talks.map((talk) => Buffer.from(talk, 'latin1')),
  ];
}
