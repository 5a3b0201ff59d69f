import { newTransactionId, type MessageHead } from '../message/index.js';
import type { Lane } from './lane.js';
import type { OutgoingSend } from './outgoing-send.js';
import type { ClientTransaction } from './transactions.js';

/** A chunk on the wire: first while its octets go out, then while it waits for its answer. */
export class OpenChunk implements ClientTransaction<MessageHead> {
  readonly lane: Lane;
  readonly send: OutgoingSend;
  readonly transactionId = newTransactionId();
  /** Position of its first octet, counted from 1. */
  readonly start: number;
  /** Octets of it that were sent. */
  octets = 0;

  constructor(lane: Lane, send: OutgoingSend) {
    this.lane = lane;
    this.send = send;
    this.start = send.position;
  }

  /** With Failure-Report `partial` an error may be answered, but that nothing is says nothing (RFC 4975 §7.2). */
  answered(status: number, response: MessageHead | undefined): void {
    this.lane.settled();
    if (!response && this.send.parts.failureReport === 'partial') return;
    this.send.events.answered(status, this.start, this.start + this.octets - 1);
  }
}
