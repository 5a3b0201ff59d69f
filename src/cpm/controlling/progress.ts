import type { Clock, Timer } from '../../base/clock.js';
import type { HeaderMap } from '../../sip/message/headers.js';
import type { ServerResponse } from '../../sip/stack.js';

/** Between two signs of life, milliseconds. */
const EVERY_MS = 60_000;

/**
 * Tells who waits for a final response to its INVITE that it is worked on: proxies and clients give up one of which they hear nothing
 * (RFC 3261 §13.3.1.1).
 * @returns what ends the telling.
 */
export function tellProgress(response: ServerResponse, clock: Clock, headers: HeaderMap): () => void {
  let timer: Timer | undefined;
  const tell = (): void => {
    response.send(183, { headers });
    timer = clock.after(EVERY_MS, tell);
  };
  tell();
  return () => timer?.cancel();
}
