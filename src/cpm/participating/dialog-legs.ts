import { ParleyError } from '../../base/errors.js';
import { parseParams } from '../../sip/message/lexer.js';
import type { SipRequest } from '../../sip/message/message.js';
import { parseReplaces, writeReplaces } from '../../sip/message/replaces.js';
import type { Leg, SessionLegs } from './session-legs.js';

/** A leg's name crosses at most the functions of both users, at both ends. */
const MOST_LEGS = 4;

/**
 * Maps the names of dialogs in whose middle this server is. What names a dialog towards one end, as the other end or a third
 * party knows it, is rewritten to what that end knows it by: Replaces (RFC 3891), Target-Dialog (RFC 4538), and Replaces in Refer-To
 * (RFC 3515, RFC 5589 §7). Session-Replaces names a contribution, which both legs share.
 */
export class DialogLegs {
  readonly #legs: Pick<SessionLegs, 'otherThan'>;

  constructor(legs: Pick<SessionLegs, 'otherThan'>) {
    this.#legs = legs;
  }

  /** Whether a request may name a dialog of ours. */
  concerns({ headers, method }: SipRequest): boolean {
    return (
      headers.has('Replaces') ||
      headers.has('Target-Dialog') ||
      (method === 'REFER' && headers.has('Refer-To'))
    );
  }

  /** Rewrites what names our leg to its other leg; what names another dialog, or cannot be read, stays. */
  async map({ headers }: SipRequest): Promise<void> {
    for (const [field, mapped] of [
      ['Replaces', (value: string) => this.#replaces(value)],
      ['Target-Dialog', (value: string) => this.#targetDialog(value)],
      ['Refer-To', (value: string) => this.#referTo(value)],
    ] as const) {
      const value = headers.get(field);
      const other = value === undefined ? undefined : await readable(() => mapped(value));
      if (other !== undefined) headers.set(field, other);
    }
  }

  /** The leg at the end of ours, seen from this one. */
  async #farthest(leg: Leg): Promise<Leg | undefined> {
    let other = await this.#legs.otherThan(leg);
    for (let crossed = 1; other && crossed < MOST_LEGS; crossed++) {
      const next = await this.#legs.otherThan(reversed(other));
      if (!next) break;
      other = next;
    }
    return other;
  }

  /** The to-tag is that of the end which is to be replaced at, so ours when the leg ends here (RFC 3891 §3). */
  async #replaces(value: string): Promise<string | undefined> {
    const { callId, toTag, fromTag, earlyOnly } = parseReplaces(value);
    const other = await this.#farthest({ callId, localTag: toTag, remoteTag: fromTag });
    return (
      other &&
      writeReplaces({ callId: other.callId, toTag: other.remoteTag, fromTag: other.localTag, earlyOnly })
    );
  }

  /** Tags as the sender has them (RFC 4538 §4). */
  async #targetDialog(value: string): Promise<string | undefined> {
    const semicolon = value.indexOf(';');
    if (semicolon < 0) return undefined;
    const params = parseParams(value, semicolon, 'Target-Dialog');
    const other = await this.#farthest({
      callId: value.slice(0, semicolon).trim(),
      localTag: params.get('remote-tag') ?? '',
      remoteTag: params.get('local-tag') ?? '',
    });
    return other && `${other.callId};local-tag=${other.localTag};remote-tag=${other.remoteTag}`;
  }

  async #referTo(value: string): Promise<string | undefined> {
    const found = /([?&]Replaces=)([^&>\s]+)/i.exec(value);
    if (!found) return undefined;
    const [whole, name = '', escaped = ''] = found;
    const other = await this.#replaces(decodeURIComponent(escaped));
    return (
      other &&
      value.slice(0, found.index) + name + encodeURIComponent(other) + value.slice(found.index + whole.length)
    );
  }
}

/** A leg as the server at its other end has it. */
const reversed = ({ callId, localTag, remoteTag }: Leg): Leg => ({
  callId,
  localTag: remoteTag,
  remoteTag: localTag,
});

async function readable(read: () => Promise<string | undefined>): Promise<string | undefined> {
  try {
    return await read();
  } catch (error) {
    const unreadable =
      error instanceof URIError || (error instanceof ParleyError && error.code === 'sip-bad-header');
    if (unreadable) return undefined;
    throw error;
  }
}
