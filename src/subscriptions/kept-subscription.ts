import type { HeaderMap } from '../sip/message/headers.js';
import type { SipRequest, SipResponse } from '../sip/message/message.js';
import { LEFT, STACK_CLOSED, type Dialog, type ServerRequest, type ServerResponse } from '../sip/stack.js';
import type { Rows } from './rows.js';

/** NOTIFYs that are sent between two commits. */
export const LEASE = 400;

/** Who tells the watcher what there is to tell. */
export interface SubscriptionUser {
  /** Answers a request of the watcher inside the dialog. */
  request(request: ServerRequest, response: ServerResponse): Promise<void>;
  /** Called once, when the dialog has ended. */
  ended(): void;
}

/** The body of a NOTIFY and what says of which kind it is. */
export interface Notification {
  readonly headers: HeaderMap;
  readonly body: string;
}

/**
 * One subscription on the notifier's side, which lives on when the process dies: what its dialog consists of is in the store, with
 * numbers for CSeq and document version that are reserved many at a time, so that a NOTIFY costs no commit. Who goes on
 * with it begins above what is reserved: numbers jump then, which RFC 3261 §12.2.2 and RFC 3680 §5.1 allow.
 */
export class KeptSubscription {
  /** What is watched: a registration set, a group. */
  readonly resource: string;
  /** What the event package wants to know of the watcher. */
  readonly watcher: string;
  readonly dialog: Dialog;
  readonly #rows: Rows;
  #user: SubscriptionUser | undefined;
  #version: number;
  /** Numbers that are reserved; without end for one that is not kept in the store. */
  #left: number;

  /** @param version of its next document. @param stored whether the store keeps it. */
  constructor(
    { resource, watcher }: { readonly resource: string; readonly watcher: string },
    dialog: Dialog,
    version: number,
    rows: Rows,
    stored: boolean,
  ) {
    this.resource = resource;
    this.watcher = watcher;
    this.dialog = dialog;
    this.#version = version;
    this.#rows = rows;
    this.#left = stored ? LEASE : Infinity;
    dialog.onRequest((request, response) => this.#request(request, response));
    dialog.onEnd((cause) => this.#ended(cause));
  }

  get #stored(): boolean {
    return this.#left !== Infinity;
  }

  /** The last user that is set counts. */
  serve(user: SubscriptionUser): void {
    this.#user = user;
    if (this.dialog.state === 'terminated') user.ended();
  }

  async #request(request: ServerRequest, response: ServerResponse): Promise<void> {
    if (this.#user) await this.#user.request(request, response);
    else response.send(481);
  }

  #ended(cause: SipRequest | string): void {
    if (this.#stored && cause !== LEFT && cause !== STACK_CLOSED)
      this.#rows.remove(this.resource, this.dialog.saved!);
    this.#user?.ended();
  }

  /** Whether the next NOTIFY needs numbers that are not reserved yet. */
  get exhausted(): boolean {
    return this.#left === 0;
  }

  /**
   * Reserves numbers for more NOTIFYs. When another node has taken the subscription over it ends here.
   * @throws ParleyError `store-unavailable`
   */
  async reserve(): Promise<void> {
    if (!this.#stored) return;
    if (await this.#rows.reserve(this.resource, this.dialog.saved!)) this.#left = LEASE;
    else this.dialog.leave();
  }

  /**
   * Sends a NOTIFY in the dialog.
   * @param make gives it for the version of its document, from 0, rising by one but after a restart.
   * @returns the watcher's answer. @throws ParleyError `store-unavailable`, `sip-no-dialog`
   */
  async notify(make: (version: number) => Notification): Promise<SipResponse> {
    if (this.exhausted) await this.reserve();
    this.#left--;
    const { headers, body } = make(this.#version++);
    return this.dialog.send({ method: 'NOTIFY', headers, body });
  }

  /**
   * Answers a SUBSCRIBE inside the dialog, when it is committed.
   * @param seconds granted; 0 ends the subscription with the NOTIFY that is to follow. @throws ParleyError `store-unavailable`
   */
  async refresh(request: ServerRequest, response: ServerResponse, seconds: number): Promise<void> {
    const saved = this.dialog.saved;
    if (this.#stored && saved && seconds > 0) {
      const remoteTarget = request.contacts[0]?.uriText ?? saved.remoteTarget;
      if (!(await this.#rows.refresh(this.resource, { ...saved, remoteTarget }, seconds))) {
        this.dialog.leave();
        response.send(481);
        return;
      }
    }
    response.send(200, { headers: { Expires: seconds } });
  }
}
