/**
 * Coverage-guided fuzzing of the SIP message parser, its decoders and the stream framer.
 *
 *     npm run fuzz:sip [-- inputs [seed]]
 *
 * Compiled sources are instrumented (`instrument.ts`); an input that enters blocks in a new order, or a new number of
 * times, joins the corpus and is mutated in turn. An input that breaks a rule of `exercise-sip.ts` or takes
 * long is written to `test/fixtures/sip-malformed/` and makes the run fail.
 */
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { crc32 } from 'node:zlib';
import { instrument } from './instrument.js';
import { mutate } from './mutate.js';
import { Random } from './random.js';
import { sipWords } from './words-sip.js';

const SLOW_MS = 100;
const plain = resolve('.cache/fuzz/plain');
const built = resolve('.cache/fuzz/instrumented');
const fixtures = ['rfc4475', 'cpm', 'sip-malformed', 'sip-fields'].map((name) => join('test/fixtures', name));
const crashes = 'test/fixtures/sip-malformed';

interface Coverage {
  settle(): boolean;
  edgeCount(): number;
}

function buildInstrumented(): void {
  rmSync(built, { recursive: true, force: true });
  cpSync(plain, built, { recursive: true });
  const coverage = join(built, 'test/fuzz/coverage.js');
  for (const file of readdirSync(join(built, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.js')) continue;
    const path = join(built, 'src', file);
    const from = relative(dirname(path), coverage);
    writeFileSync(path, instrument(readFileSync(path, 'utf8'), from, crc32(file)));
  }
}

function seeds(): Buffer[] {
  return fixtures.flatMap((folder) => readdirSync(folder).map((file) => readFileSync(join(folder, file))));
}

/** What the rules say against an input, if anything. */
function objection(exercise: (input: Buffer) => void, input: Buffer): unknown {
  const started = performance.now();
  try {
    exercise(input);
  } catch (error) {
    return error;
  }
  const ms = performance.now() - started;
  slowest = Math.max(slowest, ms);
  if (ms < SLOW_MS) return undefined;
  const cpu = Math.min(...[1, 2, 3].map(() => cpuMs(() => exercise(input))));
  return cpu < SLOW_MS ? undefined : new Error(`takes ${Math.round(cpu)} ms`);
}

/** The clock on the wall also shows what else the machine does. */
function cpuMs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

const [inputs, seed] = [Number(process.argv[2] ?? 5_000_000), Number(process.argv[3] ?? Date.now() % 1e9)];
buildInstrumented();
const load = (file: string): Promise<unknown> => import(pathToFileURL(join(built, 'test/fuzz', file)).href);
const coverage = (await load('coverage.js')) as Coverage;
const { exercise } = (await load('exercise-sip.js')) as { exercise: (input: Buffer) => void };
const random = new Random(seed);
const corpus: Buffer[] = [];
const found = new Set<string>();
let slowest = 0;

function run(input: Buffer): void {
  const error = objection(exercise, input);
  const isNew = coverage.settle();
  if (error !== undefined) report(input, error);
  else if (isNew) corpus.push(input);
}

function report(input: Buffer, first: unknown): void {
  Error.stackTraceLimit = 10;
  const error = objection(exercise, input) ?? first;
  Error.stackTraceLimit = 0;
  const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
  // the places tell failures apart, the values do not
  const kind = /\n +at [\s\S]*/.exec(reason)?.[0].split('\n').slice(0, 4).join() ?? reason;
  if (found.has(kind)) return;
  found.add(kind);
  const name = `fuzz-${createHash('sha256').update(input).digest('hex').slice(0, 12)}.dat`;
  mkdirSync(crashes, { recursive: true });
  writeFileSync(join(crashes, name), input);
  console.error(`${join(crashes, name)}: ${reason}`);
}

// most inputs are refused, and taking the stack of each refusal would cost more than the rest
Error.stackTraceLimit = 0;
/** Half of the time of what was found last, where the frontier is; of two, the shorter, which is quicker to run. */
function choose(): Buffer {
  const from = random.below(2) === 0 ? Math.max(0, corpus.length - 64) : 0;
  const [a, b] = [0, 1].map(() => corpus[from + random.below(corpus.length - from)]!);
  return a!.length < b!.length ? a! : b!;
}

for (const input of seeds()) run(input);
const fromSeeds = { corpus: corpus.length, edges: coverage.edgeCount() };
console.log(`seed ${seed}: ${fromSeeds.corpus} inputs from fixtures, ${fromSeeds.edges} edges`);
const started = performance.now();
for (let done = 1; done <= inputs; done++) {
  run(mutate(choose(), random, random.pick(corpus), sipWords));
  if (done % 250_000 === 0) {
    const rate = Math.round((done / (performance.now() - started)) * 1000);
    console.log(
      `${done} inputs, ${rate}/s, corpus ${corpus.length}, ${coverage.edgeCount()} edges, ${found.size} failures`,
    );
  }
}
console.log(
  `${inputs} inputs in ${Math.round((performance.now() - started) / 1000)} s: corpus ${fromSeeds.corpus} -> ${corpus.length}, ` +
    `edges ${fromSeeds.edges} -> ${coverage.edgeCount()}, slowest ${slowest.toFixed(1)} ms, ${found.size} failures`,
);
process.exitCode = found.size === 0 ? 0 : 1;
