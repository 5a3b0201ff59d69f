import { randomToken } from '../embedded/tokens.js';
import { Headers } from '../message/headers.js';
import { SipRequest, type SipMessage, type SipResponse } from '../message/message.js';
import type { Source } from '../stack.js';
import type { ServerTransaction } from '../transaction/layer.js';

/** Higher than any that the peer used: its next request would be this one (RFC 3261 §12.2.1.1). */
const LAST_CSEQ = 2 ** 31 - 2;

/**
 * The BYE of a peer whose dialog the server has ended, or never made. @param ended a message of that dialog. @param sender which of its
 * two parties the peer is. @param reason value of Reason.
 */
export function byeOfPeer(ended: SipMessage, sender: 'from' | 'to', reason: string | undefined): SipRequest {
  const headers = new Headers();
  headers.append('Via', `SIP/2.0/UDP ended.invalid;branch=z9hG4bK${randomToken()}`);
  headers.append('From', ended.get(sender === 'from' ? 'From' : 'To') ?? '');
  headers.append('To', ended.get(sender === 'from' ? 'To' : 'From') ?? '');
  headers.append('Call-ID', ended.callId);
  headers.append('CSeq', `${LAST_CSEQ} BYE`);
  headers.append('Max-Forwards', '70');
  if (reason !== undefined) headers.append('Reason', reason);
  return new SipRequest('BYE', 'sip:ended.invalid', headers);
}

/** A request that nobody on the network waits for an answer to. */
export class UnheardTransaction implements ServerTransaction {
  readonly kind = 'non-invite';
  readonly request: SipRequest;
  readonly source: Source = {
    protocol: 'udp',
    address: '',
    port: 0,
    localAddress: '',
    localPort: 0,
    flow: '',
  };
  finalStatus: number | undefined;
  onCancel: ServerTransaction['onCancel'];
  onFailure: ServerTransaction['onFailure'];
  readonly #onAnswered: () => void;

  /** @param onAnswered called with the final response. */
  constructor(request: SipRequest, onAnswered: () => void) {
    this.request = request;
    this.#onAnswered = onAnswered;
    this.finalStatus = undefined;
    this.onCancel = undefined;
    this.onFailure = undefined;
  }

  respond({ status }: SipResponse): boolean {
    if (this.finalStatus !== undefined || status < 200) return false;
    this.finalStatus = status;
    this.#onAnswered();
    return true;
  }
}
