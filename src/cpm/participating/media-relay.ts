import type { NextOptions, ServiceCall } from '../../core/service.js';

/** What stays in the media path of sessions, where policy wants that: a B2BUA with an MSRP relay. */
export interface MediaRelay {
  /**
   * Sets the session up over `call.onward` and relays its messages until it ends.
   * @param observed sees the responses on their way to the caller.
   * @param session its key in the session records, for what passes.
   * @param recorded whether its messages are recorded.
   */
  join(call: ServiceCall, observed: NextOptions, session: string, recorded: boolean): Promise<void>;
}
