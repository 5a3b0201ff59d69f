import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { element, type Element } from '../../src/imps/codec/element.js';
import { sealEnvelope } from '../../src/imps/codec/envelope.js';
import { defaultLimits } from '../../src/imps/codec/limits.js';
import { readWbxml } from '../../src/imps/codec/wbxml-reader.js';
import { writeWbxml } from '../../src/imps/codec/wbxml-writer.js';
import { median } from '../measure.js';

const VERSION = '1.2';
const user = (name: string): Element => element('User', element('UserID', `wv:${name}@ims.test`));

/** Documents of 1.2, since libwbxml knows no later version. */
const documents: Readonly<Record<string, Element>> = {
  'Login-Request': element(
    'Login-Request',
    element('UserID', 'wv:alice@ims.test'),
    element('ClientID', element('URL', 'wv:ZOMI2.0.*$NoWire@FLY.X95.384759')),
    element('DigestSchema', 'SHA'),
    element('DigestSchema', 'MD5'),
    element('TimeToLive', 7205),
    element('SessionCookie', '1234567890-1'),
  ),
  'SendMessage-Request': element(
    'SendMessage-Request',
    element('DeliveryReport', true),
    element(
      'MessageInfo',
      element('ContentType', 'text/plain'),
      element('ContentSize', 32),
      element('Recipient', user('bob')),
      element('Sender', user('alice')),
      element('DateTime', '20260131T235907Z'),
      element('Validity', 86_400),
    ),
    element('ContentData', 'Shall we meet at eight tonight? '),
  ),
  'ListManage-Response, 50 contacts': element(
    'ListManage-Response',
    element('Result', element('Code', 200)),
    element(
      'NickList',
      Array.from({ length: 50 }, (_, number) =>
        element(
          'NickName',
          element('Name', `Friend ${number}`),
          element('UserID', `wv:friend${number}@ims.test`),
        ),
      ),
    ),
  ),
};

const sealed = (primitive: Element): Element =>
  sealEnvelope({
    version: VERSION,
    sessionType: 'Inband',
    sessionId: '664fb402fb48606bfe10f916105a1b61',
    transactions: [{ mode: 'Request', id: '8', primitive }],
    poll: undefined,
    cir: undefined,
  });

/** Nanoseconds of CPU that one run takes, garbage collection included. */
function cpuOf(runs: number, work: () => unknown): number {
  let kept: unknown;
  const before = process.cpuUsage();
  for (let run = 0; run < runs; run++) kept = work();
  const { user: own, system } = process.cpuUsage(before);
  if (kept === undefined) throw new Error('nothing was done');
  return ((own + system) * 1000) / runs;
}

interface Codec {
  readonly read: number[];
  readonly write: number[];
  octets: number;
}

/** Encode and decode beside libwbxml, both between octets and a tree in memory. @returns a table in markdown */
export function measureCodec(rounds: number, runs: number, told: (line: string) => unknown): string {
  const folder = mkdtempSync(join(tmpdir(), 'parley-wbxml-bench-'));
  try {
    const trees = Object.values(documents).map(sealed);
    const files = trees.map((tree, index) => {
      const file = join(folder, `${index}.wbxml`);
      writeFileSync(file, writeWbxml(tree, VERSION));
      return file;
    });
    const empty = (): Codec[] => trees.map(() => ({ read: [], write: [], octets: 0 }));
    const [own, foreign] = [empty(), empty()];
    const program = compiled(folder);
    if (program === undefined) told('libwbxml2-dev and a C compiler are not there: Parley alone is measured');
    for (let round = 0; round <= rounds; round++) {
      trees.forEach((tree, index) => {
        const octets = writeWbxml(tree, VERSION);
        const read = cpuOf(runs, () => readWbxml(octets, defaultLimits));
        const write = cpuOf(runs, () => writeWbxml(tree, VERSION));
        if (round === 0) return; // the first is the warm-up
        own[index]!.read.push(read);
        own[index]!.write.push(write);
        own[index]!.octets = octets.length;
      });
      if (program === undefined || round === 0) continue;
      const lines = execFileSync(program, ['1', String(runs), ...files], { encoding: 'utf8' })
        .trim()
        .split('\n');
      for (const line of lines) {
        const [index, read, write, octets] = line.split(' ').map(Number) as [number, number, number, number];
        foreign[index]!.read.push(read);
        foreign[index]!.write.push(write);
        foreign[index]!.octets = octets;
      }
    }
    const micros = (values: readonly number[]): string =>
      values.length === 0 ? '-' : `${(median(values) / 1000).toFixed(1)} µs`;
    return [
      '| document of CSP 1.2 | octets, Parley / libwbxml | decode, Parley | decode, libwbxml | encode, Parley | encode, libwbxml |',
      '| --- | ---: | ---: | ---: | ---: | ---: |',
      ...Object.keys(documents).map((name, index) => {
        const [ours, theirs] = [own[index]!, foreign[index]!];
        return (
          `| ${name} | ${ours.octets} / ${theirs.octets || '-'} | ${micros(ours.read)} | ${micros(theirs.read)} ` +
          `| ${micros(ours.write)} | ${micros(theirs.write)} |`
        );
      }),
    ].join('\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The C program, compiled with Debian's libwbxml2-dev; undefined when that is not installed. */
function compiled(folder: string): string | undefined {
  const flags = spawnSync('pkg-config', ['--cflags', '--libs', 'libwbxml2'], { encoding: 'utf8' });
  if (flags.status !== 0) return undefined;
  const program = join(folder, 'libwbxml');
  const source = resolve('bench/imps/libwbxml.c');
  const { status, stderr } = spawnSync(
    'cc',
    ['-O2', '-o', program, source, ...flags.stdout.trim().split(/\s+/)],
    {
      encoding: 'utf8',
    },
  );
  if (status !== 0) process.stderr.write(stderr);
  return status === 0 ? program : undefined;
}
