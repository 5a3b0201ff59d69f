import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Clock, Timer } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import type { MessageObserver, PassingMessage } from '../../msrp/session/index.js';
import './errors.js';
import { readRecording, type RecordedMessage } from './recorded-message.js';
import { Recorder, type RecordedSession, type RecorderHost } from './recorder.js';

export interface RecordingsOptions {
  readonly folder: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly trail: Trail;
  /** Octets of one message that are kept, of all recordings, and of those that are not written yet. */
  readonly messageOctets: number;
  readonly totalOctets: number;
  readonly heldOctets: number;
  /** Days after which a recording is removed. */
  readonly keepDays: number;
}

/** A recording as it is listed. */
export interface ListedRecording extends RecordedMessage {
  /** Sorts by time. */
  readonly id: string;
}

const DAY_MS = 86_400_000;
const SWEEP_MS = 3_600_000;
/** Files that one question looks into. */
const MOST_LOOKED_AT = 10_000;
const idPattern = /^(\d{8})T\d{9}Z-[0-9a-f]{16}$/;

/**
 * Messages that passed sessions whose users' policy asks for records: each is one file, a Message/CPIM, in a folder of its day
 * that nobody but the server's user may read.
 */
export class Recordings {
  readonly #options: RecordingsOptions;
  readonly #writing = new Set<Promise<void>>();
  #total = 0;
  #held = 0;
  #timer: Timer | undefined;
  #closed = false;

  private constructor(options: RecordingsOptions) {
    this.#options = options;
  }

  /** @throws Error when the folder cannot be made or read. */
  static async open(options: RecordingsOptions): Promise<Recordings> {
    const recordings = new Recordings(options);
    await mkdir(options.folder, { recursive: true, mode: 0o700 });
    for (const day of await recordings.#days()) {
      await recordings.#removeUnfinished(day);
      recordings.#total += await recordings.#octetsOf(day);
    }
    await recordings.#sweep();
    return recordings;
  }

  /** Octets of the recordings, written or about to be. */
  get octets(): number {
    return this.#total;
  }

  /** Records a message that begins to pass. */
  observe(
    session: RecordedSession,
    message: PassingMessage,
    ends: { readonly from: string; readonly to: string },
  ): MessageObserver {
    const { clock, messageOctets, heldOctets } = this.#options;
    const host: RecorderHost = {
      now: () => clock.now(),
      messageOctets,
      hold: (octets) => {
        if (this.#held + octets > heldOctets) return false;
        this.#held += octets;
        return true;
      },
      keep: (at, recording, held) => this.#keep(at, recording, held, ends.from),
    };
    return new Recorder(host, session, message, ends);
  }

  /**
   * The newest recordings, newest first. @param before the identifier after which the list goes on. @param user URI of
   * the sender or the recipient.
   */
  async list(wanted: {
    user?: string | undefined;
    before?: string | undefined;
    limit: number;
  }): Promise<ListedRecording[]> {
    const { user, before, limit } = wanted;
    const found: ListedRecording[] = [];
    let looked = 0;
    for (const day of await this.#days()) {
      if (before !== undefined && day > before.slice(0, 8)) continue;
      for (const id of await this.#idsOf(day)) {
        if (before !== undefined && id >= before) continue;
        if (found.length >= limit || ++looked > MOST_LOOKED_AT) return found;
        try {
          const about = readRecording(await readFile(this.#path(id)));
          if (user === undefined || about.from === user || about.to === user) found.push({ id, ...about });
        } catch (error) {
          this.#options.log.warn({ err: error, recording: id }, 'a recording cannot be read');
        }
      }
    }
    return found;
  }

  /** The file itself, a Message/CPIM. @throws ParleyError `recording-unknown`. */
  async read(id: string): Promise<Buffer> {
    try {
      return await readFile(this.#path(id));
    } catch (error) {
      throw unknownOr(error);
    }
  }

  /** @throws ParleyError `recording-unknown`. */
  async remove(id: string): Promise<void> {
    try {
      const path = this.#path(id);
      const { size } = await stat(path);
      await rm(path);
      this.#total -= size;
    } catch (error) {
      throw unknownOr(error);
    }
  }

  /** After what is being written. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await Promise.all(this.#writing);
  }

  #keep(at: number, recording: Buffer, held: number, user: string): void {
    const { totalOctets, trail, log } = this.#options;
    const note = (code: string, detail: string): void =>
      trail.record({ code, outcome: 'refused', clause: 'OMA CPM §5.2.3', subject: user, detail });
    if (this.#total + recording.length > totalOctets) {
      this.#held -= held;
      note('cpm.recording-refused', 'the folder is full');
      return;
    }
    this.#total += recording.length;
    const id = `${new Date(at).toISOString().replace(/[-:.]/g, '')}-${randomBytes(8).toString('hex')}`;
    const work = this.#write(id, recording)
      .catch((error: unknown) => {
        this.#total -= recording.length;
        note('cpm.recording-refused', 'it could not be written');
        log.error({ err: error }, 'a recording could not be written');
      })
      .finally(() => {
        this.#held -= held;
        this.#writing.delete(work);
      });
    this.#writing.add(work);
  }

  async #write(id: string, recording: Buffer): Promise<void> {
    const path = this.#path(id);
    await mkdir(join(this.#options.folder, id.slice(0, 8)), { recursive: true, mode: 0o700 });
    // whole or not at all, even when the process is killed
    await writeFile(`${path}.part`, recording, { mode: 0o600, flush: true });
    await rename(`${path}.part`, path);
  }

  #path(id: string): string {
    const day = idPattern.exec(id)?.[1];
    if (day === undefined) throw new ParleyError('recording-unknown', id.slice(0, 64));
    return join(this.#options.folder, day, `${id}.cpim`);
  }

  async #days(): Promise<string[]> {
    const names = await readdir(this.#options.folder);
    return names
      .filter((name) => /^\d{8}$/.test(name))
      .sort()
      .reverse();
  }

  async #idsOf(day: string): Promise<string[]> {
    const names = await readdir(join(this.#options.folder, day));
    return names
      .filter((name) => name.endsWith('.cpim'))
      .map((name) => name.slice(0, -'.cpim'.length))
      .filter((id) => idPattern.test(id))
      .sort()
      .reverse();
  }

  /** Removes days that are over, now and from hour to hour. */
  async #sweep(): Promise<void> {
    const { folder, clock, keepDays, log } = this.#options;
    const oldest = new Date(clock.now() - keepDays * DAY_MS).toISOString().slice(0, 10).replaceAll('-', '');
    for (const day of await this.#days()) {
      if (day >= oldest) continue;
      const octets = await this.#octetsOf(day);
      await rm(join(folder, day), { recursive: true, force: true });
      this.#total -= octets;
    }
    if (this.#closed) return;
    this.#timer = clock.after(SWEEP_MS, () => {
      this.#sweep().catch((error: unknown) => log.error({ err: error }, 'old recordings stay'));
    });
  }

  /** What a process that was killed had begun to write. */
  async #removeUnfinished(day: string): Promise<void> {
    const folder = join(this.#options.folder, day);
    for (const name of await readdir(folder))
      if (name.endsWith('.cpim.part')) await rm(join(folder, name), { force: true });
  }

  async #octetsOf(day: string): Promise<number> {
    let octets = 0;
    for (const id of await this.#idsOf(day)) octets += (await stat(this.#path(id))).size;
    return octets;
  }
}

function unknownOr(error: unknown): unknown {
  return (error as NodeJS.ErrnoException).code === 'ENOENT' ? new ParleyError('recording-unknown') : error;
}
