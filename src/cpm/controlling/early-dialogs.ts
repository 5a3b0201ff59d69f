import type { Logger } from '../../base/log.js';
import type { Dialog, SipStack } from '../../sip/stack.js';
import { table, type Store } from '../../store/store.js';
import { newId } from './identifiers.js';

/** An early dialog of an invitation that rings (RFC 3261 §12.1.2). */
interface EarlyDialogRow {
  /** The process that rings. */
  readonly holder: string;
  readonly callId: string;
  readonly from: string;
  readonly to: string;
  readonly remoteTarget: string;
  readonly routeSet: readonly string[];
  /** CSeq above all that have been used. */
  readonly cseq: number;
}

const earlyDialogs = table<EarlyDialogRow>('group-early-dialogs');

/** CSeq numbers for what the process that rings still sends there: each PRACK has one. */
const SEQUENCES = 100;

/** BYEs under way: each waits for an answer that may not come. */
const AT_ONCE = 256;

export interface EarlyDialogsOptions {
  readonly stack: Pick<SipStack, 'request'>;
  readonly store: Store;
  readonly log: Logger;
  /** This process, as the holder of groups. */
  readonly holder: string;
  readonly isAlive: (holder: string) => boolean;
}

/**
 * The devices that ring for groups, in the store. A CANCEL is the business of the process that sent the INVITE (RFC 3261 §9.1), but any
 * other can say BYE in the early dialogs (RFC 3261 §15), so that nothing rings on for a process that was killed.
 */
export class EarlyDialogs {
  readonly #options: EarlyDialogsOptions;

  constructor(options: EarlyDialogsOptions) {
    this.#options = options;
  }

  /** @returns what forgets it: its INVITE has a final response. */
  keep(dialog: Dialog): () => void {
    const { store, holder } = this.#options;
    const { request, callId, localUri, localTag, remoteUri, remoteTag, remoteTarget, routeSet } = dialog;
    const key = newId('ring');
    const value: EarlyDialogRow = {
      ...{ holder, callId, remoteTarget, routeSet },
      from: `<${localUri}>;tag=${localTag}`,
      to: `<${remoteUri}>;tag=${remoteTag}`,
      cseq: request.cseq.number + SEQUENCES,
    };
    const kept = store.update(earlyDialogs, key, () => ({ kind: 'put', value, result: undefined }));
    this.#background(kept);
    const remove = (): Promise<void> =>
      store.update(earlyDialogs, key, () => ({ kind: 'remove', result: undefined }));
    return () => this.#background(kept.then(remove, remove));
  }

  /** Ends those of processes that are gone. @throws ParleyError `store-unavailable` */
  async endOrphans(): Promise<void> {
    const { store, holder: own, isAlive } = this.#options;
    const ending = new Set<Promise<void>>();
    for await (const { key, value } of store.scan(earlyDialogs)) {
      const { holder } = value;
      if (holder === own || isAlive(holder)) continue;
      const isOurs = await store.update<EarlyDialogRow, boolean>(earlyDialogs, key, (current) =>
        current?.holder === holder ? { kind: 'remove', result: true } : { kind: 'keep', result: false },
      );
      if (!isOurs) continue;
      const end = this.#end(value).finally(() => ending.delete(end));
      this.#background(end);
      ending.add(end);
      if (ending.size >= AT_ONCE) await Promise.race(ending).catch(() => undefined);
    }
  }

  async #end({ callId, from, to, remoteTarget, routeSet, cseq }: EarlyDialogRow): Promise<void> {
    const response = await this.#options.stack.request(remoteTarget, {
      method: 'BYE',
      headers: {
        ...{ From: from, To: to, 'Call-ID': callId, CSeq: `${cseq} BYE` },
        Reason: 'SIP;cause=487;text="The server was restarted"',
      },
      route: routeSet,
    });
    if (response.status >= 300)
      this.#options.log.info({ status: response.status, callId }, 'a device that rang did not take a BYE');
  }

  #background(work: Promise<void>): void {
    work.catch((error: unknown) =>
      this.#options.log.warn({ err: error }, 'a device may ring on after the end of a process'),
    );
  }
}
