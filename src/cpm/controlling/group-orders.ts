import { errorCatalogue, ParleyError } from '../../base/errors.js';
import type { Clock } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import type { Store } from '../../store/store.js';
import { groupError } from './errors.js';
import { newId } from './identifiers.js';

/** What the operator wants of a group. */
export type GroupOrder =
  | { readonly what: 'close'; readonly id: string }
  | { readonly what: 'add' | 'remove'; readonly id: string; readonly whom: string };

export interface GroupOrdersOptions {
  readonly store: Pick<Store, 'publish' | 'subscribe'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** This process, as the holder of groups. */
  readonly holder: string;
}

interface Question {
  readonly number: string;
  readonly from: string;
  readonly order: GroupOrder;
}

interface Answer {
  readonly number: string;
  readonly code?: string;
  readonly detail?: string | undefined;
}

/** Milliseconds that another node may take. */
const PATIENCE_MS = 5_000;

const ordersTo = (holder: string): string => `group-orders:${holder}`;
const answersTo = (holder: string): string => `group-answers:${holder}`;

/** Orders for groups that other nodes run: only the node with the focus of a group can change it (RFC 4353 §4.1). */
export class GroupOrders {
  readonly #options: GroupOrdersOptions;
  readonly #waiting = new Map<string, (answer: Answer) => void>();
  readonly #unsubscribe: (() => void)[] = [];

  constructor(options: GroupOrdersOptions) {
    this.#options = options;
  }

  /** Begins to listen. @param carryOut does what others ask this node for. */
  start(carryOut: (order: GroupOrder) => Promise<void>): void {
    const { store, holder, log } = this.#options;
    this.#unsubscribe.push(
      store.subscribe(answersTo(holder), (payload) => {
        const answer = JSON.parse(payload) as Answer;
        this.#waiting.get(answer.number)?.(answer);
      }),
      store.subscribe(ordersTo(holder), (payload) => {
        const { number, from, order } = JSON.parse(payload) as Question;
        carryOut(order)
          .then(
            (): Answer => ({ number }),
            (error: unknown): Answer => ({ number, ...this.#failure(error) }),
          )
          .then((answer) => store.publish(answersTo(from), JSON.stringify(answer)))
          .catch((error: unknown) =>
            log.warn({ err: error }, 'a node could not be told what became of its order'),
          );
      }),
    );
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe.splice(0)) unsubscribe();
  }

  /** @throws ParleyError `group-node-silent`, `group-node-failed`, `store-unavailable`, and what the other node refuses it with. */
  async ask(holder: string, order: GroupOrder): Promise<void> {
    const { store, clock, holder: from } = this.#options;
    const question: Question = { number: newId('o'), from, order };
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(question.number, resolve));
    let silent = (): void => {};
    const timer = clock.after(PATIENCE_MS, () => silent());
    const late = new Promise<never>((_, reject) => {
      silent = () => reject(groupError('group-node-silent', order.id));
    });
    try {
      await store.publish(ordersTo(holder), JSON.stringify(question));
      const { code, detail } = await Promise.race([answered, late]);
      if (code !== undefined) throw new ParleyError(code, detail);
    } finally {
      timer.cancel();
      this.#waiting.delete(question.number);
    }
  }

  #failure(error: unknown): Pick<Answer, 'code' | 'detail'> {
    if (!(error instanceof ParleyError)) {
      this.#options.log.error({ err: error }, 'an order of another node for a group failed');
      return { code: 'group-node-failed' };
    }
    const { code, message } = error;
    const detail = message.slice((errorCatalogue().get(code)?.text ?? '').length + ': '.length);
    return { code, detail: detail === '' ? undefined : detail };
  }
}
