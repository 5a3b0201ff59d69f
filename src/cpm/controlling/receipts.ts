import { randomBytes } from 'node:crypto';
import type { Clock, Timer } from '../../base/clock.js';
import { formatCpim, IMDN_NAMESPACE, rewriteCpimHead, CpimHead } from '../../msrp/cpim/index.js';
import { formatImdn, formatImdnAggregate, isImdn, type Imdn, type ImdnStatus } from '../../msrp/imdn.js';
import { mediaParam, parseMediaType } from '../../sip/message/content.js';

/** What a message has come to where a device says so. */
const reached: ReadonlySet<ImdnStatus> = new Set(['delivered', 'displayed']);

/** Sends what was gathered to the sender of the messages; resolves when that is stored. */
type Tell = (octets: Buffer) => Promise<void>;

interface Batch {
  readonly group: string;
  readonly to: string;
  /** By who has reported: of a user with several devices the first one, unless another has it after all. */
  readonly imdns: Map<string, Imdn>;
  readonly done: Promise<number>;
  readonly finish: () => void;
  readonly timer: Timer;
}

export interface ReceiptsOptions {
  readonly clock: Clock;
  /** `each`: every notification as it comes; `aggregated`: several of one message in one (RFC 5438 §8.3). */
  readonly mode: 'each' | 'aggregated';
  /** Whether who sent a message learns who has read it. */
  readonly displayed: boolean;
  /** Milliseconds that notifications of one message are gathered, unless all recipients have sent theirs before. */
  readonly gatherMs: number;
}

/** Disposition notifications of the participants of groups on their way to who sent the message. */
export class Receipts {
  readonly #options: ReceiptsOptions;
  /** By group, sender, message and kind. */
  readonly #batches = new Map<string, Batch>();

  constructor(options: ReceiptsOptions) {
    this.#options = options;
  }

  get gathers(): boolean {
    return this.#options.mode === 'aggregated';
  }

  /** Whether a notification goes on to who sent the message. */
  passes({ kind }: Imdn): boolean {
    return kind !== 'display' || this.#options.displayed;
  }

  /**
   * Keeps a notification until the others have come, or the time is over.
   * @param shown who reports, as others know it. @param expected how many users may report.
   * @returns the status for who reports, once what was gathered is stored.
   */
  gather(
    group: string,
    to: string,
    shown: string,
    expected: number,
    reported: Imdn,
    tell: Tell,
  ): Promise<number> {
    const imdn = { ...reported, recipientUri: shown, originalRecipientUri: shown };
    const key = [group, to, imdn.messageId, imdn.kind].join('\n');
    const batch = this.#batches.get(key) ?? this.#begin(key, group, to, tell);
    if (!batch.imdns.has(shown) || reached.has(imdn.status)) batch.imdns.set(shown, imdn);
    if (batch.imdns.size >= expected) batch.finish();
    return batch.done;
  }

  /** A message with those notifications, under the name by which others know who reports (RFC 7701 §6.1). */
  rewritten(head: CpimHead, reported: readonly Imdn[], shown: string): Buffer {
    const imdns = reported.map((imdn) => ({ ...imdn, recipientUri: shown, originalRecipientUri: shown }));
    const boundary = isImdn(head)
      ? undefined
      : mediaParam(parseMediaType(head.mime('Content-Type')!), 'boundary');
    const octets = Buffer.from(
      boundary === undefined ? formatImdn(imdns[0]!) : formatImdnAggregate(imdns, boundary),
    );
    const mime = head.mimeLines.filter((line) => !/^content-length:/i.test(line));
    const shortened = new CpimHead(head.fields, mime, head.length);
    return Buffer.concat([rewriteCpimHead(shortened, { from: { name: '', uri: shown } }), octets]);
  }

  #begin(key: string, group: string, to: string, tell: Tell): Batch {
    const imdns = new Map<string, Imdn>();
    let finish!: () => void;
    const done = new Promise<void>((resolve) => (finish = resolve)).then(async () => {
      this.#batches.delete(key);
      batch.timer.cancel();
      await tell(aggregate(group, to, [...imdns.values()], this.#options.clock.now()));
      return 200;
    });
    const timer = this.#options.clock.after(this.#options.gatherMs, finish);
    const batch: Batch = { group, to, imdns, done, finish, timer };
    this.#batches.set(key, batch);
    return batch;
  }
}

function aggregate(group: string, to: string, imdns: readonly Imdn[], now: number): Buffer {
  const boundary = `imdn-${randomBytes(12).toString('hex')}`;
  return formatCpim({
    from: { name: '', uri: group },
    to: [{ name: '', uri: to }],
    dateTime: new Date(now).toISOString(),
    namespaces: {
      imdn: { uri: IMDN_NAMESPACE, fields: [['Message-ID', randomBytes(12).toString('hex')]] },
    },
    mime: [
      ['Content-Type', `multipart/mixed;boundary="${boundary}"`],
      ['Content-Disposition', 'notification'],
    ],
    content: Buffer.from(formatImdnAggregate(imdns, boundary)),
  });
}
