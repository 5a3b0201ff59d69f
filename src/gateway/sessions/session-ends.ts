import type { Clock } from '../../base/clock.js';
import type { Trail } from '../../base/trail.js';
import type { Dialog } from '../../sip/stack.js';

/** How long what ends may tell its peers when the process stops. */
const FAREWELL_MS = 1_000;

/** Waits for the ends of sessions when the process stops, but not for peers that do not answer. */
export async function farewell(clock: Clock, ends: readonly Promise<void>[]): Promise<void> {
  if (ends.length === 0) return;
  const enough = new Promise<void>((resolve) => clock.after(FAREWELL_MS, resolve));
  await Promise.race([Promise.allSettled(ends), enough]);
}

/** Notes in the trail what became of a session of a phone. @param subject who it is about */
export function noteSession(
  trail: Trail,
  code: string,
  about: {
    readonly clause: string;
    readonly subject: string;
    readonly dialog: Dialog;
    readonly detail: string;
  },
): void {
  const { clause, subject, dialog, detail } = about;
  trail.record({ code, outcome: 'noted', clause, subject, trace: dialog.callId, detail });
}
