import type { Next, ServiceCall } from '../../core/service.js';

/** What stays in the media path of sessions, where policy wants that: a B2BUA with an MSRP relay. */
export interface MediaRelay {
  /**
   * Sets the session up over `call.onward`, or with `next`, and relays its messages until it ends.
   * @param session its key in the session records, for what passes.
   */
  join(call: ServiceCall, next: Next, session: string): Promise<void>;
}
