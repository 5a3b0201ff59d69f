import { ParleyError } from '../../base/errors.js';
import { parseParams } from '../../sip/message/lexer.js';
import type { SipRequest } from '../../sip/message/message.js';
import { parseReplaces, writeReplaces } from '../../sip/message/replaces.js';
import type { Dialog } from '../../sip/stack.js';

type Leg = Pick<Dialog, 'callId' | 'localTag' | 'remoteTag'>;

const nameOf = (callId: string, ourTag: string, peerTag: string): string =>
  `${callId}\t${ourTag}\t${peerTag}`;

/**
 * The two legs of each session in whose middle this node is. What names a dialog towards one end, as the other end or a third
 * party knows it, is rewritten to what that end knows it by: Replaces (RFC 3891), Target-Dialog (RFC 4538), and Replaces in Refer-To
 * (RFC 3515, RFC 5589 §7). Session-Replaces names a contribution, which both legs share.
 */
export class DialogLegs {
  readonly #others = new Map<string, Leg>();

  /** @returns a function that forgets them. */
  add(uas: Leg, uac: Leg): () => void {
    const pairs = [
      [uas, uac],
      [uac, uas],
    ] as const;
    const names = pairs.map(([leg, other]) => {
      const name = nameOf(leg.callId, leg.localTag, leg.remoteTag);
      this.#others.set(name, other);
      return name;
    });
    return () => names.forEach((name) => this.#others.delete(name));
  }

  /** Whether a request may name a dialog of ours. */
  concerns({ headers, method }: SipRequest): boolean {
    return (
      this.#others.size > 0 &&
      (headers.has('Replaces') ||
        headers.has('Target-Dialog') ||
        (method === 'REFER' && headers.has('Refer-To')))
    );
  }

  /** Rewrites what names our leg to its other leg; what names another dialog, or cannot be read, stays. */
  map({ headers }: SipRequest): void {
    for (const [field, mapped] of [
      ['Replaces', (value: string) => this.#replaces(value)],
      ['Target-Dialog', (value: string) => this.#targetDialog(value)],
      ['Refer-To', (value: string) => this.#referTo(value)],
    ] as const) {
      const value = headers.get(field);
      const other = value === undefined ? undefined : readable(() => mapped(value));
      if (other !== undefined) headers.set(field, other);
    }
  }

  /** The to-tag is that of the end which is to be replaced at, so ours when the leg ends here (RFC 3891 §3). */
  #replaces(value: string): string | undefined {
    const { callId, toTag, fromTag, earlyOnly } = parseReplaces(value);
    const other = this.#others.get(nameOf(callId, toTag, fromTag));
    return (
      other &&
      writeReplaces({ callId: other.callId, toTag: other.remoteTag, fromTag: other.localTag, earlyOnly })
    );
  }

  /** Tags as the sender has them (RFC 4538 §4). */
  #targetDialog(value: string): string | undefined {
    const semicolon = value.indexOf(';');
    if (semicolon < 0) return undefined;
    const params = parseParams(value, semicolon, 'Target-Dialog');
    const callId = value.slice(0, semicolon).trim();
    const other = this.#others.get(
      nameOf(callId, params.get('remote-tag') ?? '', params.get('local-tag') ?? ''),
    );
    return other && `${other.callId};local-tag=${other.localTag};remote-tag=${other.remoteTag}`;
  }

  #referTo(value: string): string | undefined {
    const found = /([?&]Replaces=)([^&>\s]+)/i.exec(value);
    if (!found) return undefined;
    const [whole, name = '', escaped = ''] = found;
    const other = this.#replaces(decodeURIComponent(escaped));
    return (
      other &&
      value.slice(0, found.index) + name + encodeURIComponent(other) + value.slice(found.index + whole.length)
    );
  }
}

function readable(read: () => string | undefined): string | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof ParleyError || error instanceof URIError) return undefined;
    throw error;
  }
}
