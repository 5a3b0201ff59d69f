/**
 * Coverage-guided fuzzing: compiled sources are instrumented (`instrument.ts`); an input that enters blocks in a new
 * order, or a new number of times, joins the corpus and is mutated in turn. An input that breaks a rule of the subject
 * or takes long is written to its folder of crashes and makes the run fail.
 */
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { crc32 } from 'node:zlib';
import { instrument } from './instrument.js';
import { mutate } from './mutate.js';
import { Random } from './random.js';

const SLOW_MS = 100;
const plain = resolve('.cache/fuzz/plain');
const built = resolve('.cache/fuzz/instrumented');

/** What is fuzzed. */
export interface Subject {
  /** Module of this folder that exports `exercise(input: Buffer)`, which throws or rejects when a rule is broken. */
  readonly exercise: string;
  /** Inputs to begin with. */
  readonly seeds: readonly Buffer[];
  /** What the grammar knows. */
  readonly words: readonly Buffer[];
  /** Folder that failing inputs are written to. */
  readonly crashes: string;
}

type Exercise = (input: Buffer) => void | Promise<void>;

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

/** Files of folders of fixtures. */
export const fixtures = (...folders: readonly string[]): Buffer[] =>
  folders
    .map((name) => join('test/fixtures', name))
    .flatMap((folder) => readdirSync(folder).map((file) => readFileSync(join(folder, file))));

/** Fuzzes as the command line says: `[inputs [seed]]`. The exit code is 1 when a rule was broken. */
export async function fuzz(subject: Subject): Promise<void> {
  const [inputs, seed] = [Number(process.argv[2] ?? 5_000_000), Number(process.argv[3] ?? Date.now() % 1e9)];
  buildInstrumented();
  const load = (file: string): Promise<unknown> => import(pathToFileURL(join(built, 'test/fuzz', file)).href);
  const coverage = (await load('coverage.js')) as Coverage;
  const { exercise } = (await load(subject.exercise)) as { exercise: Exercise };
  const campaign = new Campaign(subject, coverage, exercise, new Random(seed));
  // most inputs are refused, and taking the stack of each refusal would cost more than the rest
  Error.stackTraceLimit = 0;
  for (const input of subject.seeds) await campaign.run(input);
  const before = { corpus: campaign.corpus.length, edges: coverage.edgeCount() };
  console.log(`seed ${seed}: ${before.corpus} inputs from fixtures, ${before.edges} edges`);
  const started = performance.now();
  for (let done = 1; done <= inputs; done++) {
    await campaign.run(campaign.next());
    if (done % 250_000 !== 0) continue;
    const rate = Math.round((done / (performance.now() - started)) * 1000);
    console.log(
      `${done} inputs, ${rate}/s, corpus ${campaign.corpus.length}, ${coverage.edgeCount()} edges, ${campaign.failures} failures`,
    );
  }
  console.log(
    `${inputs} inputs in ${Math.round((performance.now() - started) / 1000)} s: corpus ${before.corpus} -> ${campaign.corpus.length}, ` +
      `edges ${before.edges} -> ${coverage.edgeCount()}, slowest ${campaign.slowest.toFixed(1)} ms, ${campaign.failures} failures`,
  );
  process.exitCode = campaign.failures === 0 ? 0 : 1;
}

class Campaign {
  readonly corpus: Buffer[] = [];
  slowest = 0;
  readonly #found = new Set<string>();
  readonly #subject: Subject;
  readonly #coverage: Coverage;
  readonly #exercise: Exercise;
  readonly #random: Random;

  constructor(subject: Subject, coverage: Coverage, exercise: Exercise, random: Random) {
    this.#subject = subject;
    this.#coverage = coverage;
    this.#exercise = exercise;
    this.#random = random;
  }

  get failures(): number {
    return this.#found.size;
  }

  async run(input: Buffer): Promise<void> {
    const error = await this.#objection(input);
    const isNew = this.#coverage.settle();
    if (error !== undefined) await this.#report(input, error);
    else if (isNew) this.corpus.push(input);
  }

  next(): Buffer {
    const other = this.#random.pick(this.corpus);
    return mutate(this.#choose(), this.#random, other, this.#subject.words);
  }

  /** Half of the time of what was found last, where the frontier is; of two, the shorter, which is quicker to run. */
  #choose(): Buffer {
    const { corpus } = this;
    const from = this.#random.below(2) === 0 ? Math.max(0, corpus.length - 64) : 0;
    const [a, b] = [0, 1].map(() => corpus[from + this.#random.below(corpus.length - from)]!);
    return a!.length < b!.length ? a! : b!;
  }

  /** What the rules say against an input, if anything. */
  async #objection(input: Buffer): Promise<unknown> {
    const started = performance.now();
    try {
      const pending = this.#exercise(input);
      if (pending) await pending;
    } catch (error) {
      return error;
    }
    const ms = performance.now() - started;
    this.slowest = Math.max(this.slowest, ms);
    if (ms < SLOW_MS) return undefined;
    const times = [];
    for (let attempt = 0; attempt < 3; attempt++) times.push(await this.#cpuMs(input));
    const cpu = Math.min(...times);
    return cpu < SLOW_MS ? undefined : new Error(`takes ${Math.round(cpu)} ms`);
  }

  /** The clock on the wall also shows what else the machine does. */
  async #cpuMs(input: Buffer): Promise<number> {
    const before = process.cpuUsage();
    await this.#exercise(input);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  }

  async #report(input: Buffer, first: unknown): Promise<void> {
    Error.stackTraceLimit = 10;
    const error = (await this.#objection(input)) ?? first;
    Error.stackTraceLimit = 0;
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    // the places tell failures apart, the values do not
    const kind = /\n +at [\s\S]*/.exec(reason)?.[0].split('\n').slice(0, 4).join() ?? reason;
    if (this.#found.has(kind)) return;
    this.#found.add(kind);
    const name = `fuzz-${createHash('sha256').update(input).digest('hex').slice(0, 12)}.dat`;
    mkdirSync(this.#subject.crashes, { recursive: true });
    writeFileSync(join(this.#subject.crashes, name), input);
    console.error(`${join(this.#subject.crashes, name)}: ${reason}`);
  }
}
