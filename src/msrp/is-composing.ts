import type { Clock, Timer } from '../base/clock.js';
import { msrpError } from './errors.js';
import { childText, escapeXml, parseSmallXml } from './xml.js';

const NAMESPACE = 'urn:ietf:params:xml:ns:im-iscomposing';
/** Media type of the document (RFC 3994 §8.1). */
export const IS_COMPOSING_TYPE = 'application/im-iscomposing+xml';
/** How long a receiver believes an active state without a refresh interval (RFC 3994 §3.3), milliseconds. */
const DEFAULT_REFRESH_MS = 120_000;
const MAX_REFRESH_SECONDS = 86_400;

/** An isComposing status message (RFC 3994 §3.4). */
export interface IsComposing {
  /** A state unknown to RFC 3994 counts as idle (§3.5). */
  readonly state: 'active' | 'idle';
  readonly lastActive?: string | undefined;
  readonly contentType?: string | undefined;
  /** Seconds until the sender repeats an active state. */
  readonly refresh?: number | undefined;
}

/** @throws ParleyError `is-composing-malformed`. */
export function parseIsComposing(octets: Uint8Array): IsComposing {
  const root = parseSmallXml(octets, 'isComposing', NAMESPACE);
  if (typeof root !== 'object') throw msrpError('is-composing-malformed', root);
  const state = childText(root, 'state');
  if (state === undefined) throw msrpError('is-composing-malformed', 'no state');
  const refresh = childText(root, 'refresh');
  if (refresh !== undefined && !/^0*[1-9]\d{0,8}$/.test(refresh))
    throw msrpError('is-composing-malformed', 'refresh');
  return {
    state: state === 'active' ? 'active' : 'idle',
    lastActive: childText(root, 'lastactive'),
    contentType: childText(root, 'contenttype'),
    refresh: refresh === undefined ? undefined : Math.min(Number(refresh), MAX_REFRESH_SECONDS),
  };
}

/** The document of a status message. */
export function formatIsComposing(status: IsComposing): string {
  const element = (name: string, text: string | undefined): string =>
    text === undefined ? '' : `<${name}>${escapeXml(text)}</${name}>\r\n`;
  return (
    `<?xml version="1.0" encoding="UTF-8"?>\r\n<isComposing xmlns="${NAMESPACE}">\r\n` +
    element('state', status.state) +
    element('lastactive', status.lastActive) +
    element('contenttype', status.contentType) +
    element('refresh', status.refresh?.toString()) +
    '</isComposing>'
  );
}

/** What a receiver knows of one sender: the state diagram of RFC 3994 figure 2. */
export class ComposingReceiver {
  readonly #clock: Clock;
  readonly #onChange: (state: 'active' | 'idle') => void;
  #timer: Timer | undefined;

  constructor(clock: Clock, onChange: (state: 'active' | 'idle') => void) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  get state(): 'active' | 'idle' {
    return this.#timer ? 'active' : 'idle';
  }

  /** A status message arrived. */
  status(status: IsComposing): void {
    if (status.state === 'idle') {
      this.#idle();
      return;
    }
    const before = this.state;
    this.#timer?.cancel();
    const wait = status.refresh === undefined ? DEFAULT_REFRESH_MS : status.refresh * 1000;
    this.#timer = this.#clock.after(wait, () => this.#idle());
    if (before === 'idle') this.#onChange('active');
  }

  /** A content message arrived: whatever was composed is there. */
  content(): void {
    this.#idle();
  }

  #idle(): void {
    if (!this.#timer) return;
    this.#timer.cancel();
    this.#timer = undefined;
    this.#onChange('idle');
  }
}
