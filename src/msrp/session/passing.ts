import type { SendParts } from '../connection/outgoing-send.js';
import type { ByteRange, MessageHead } from '../message/index.js';

/** What a SEND says when it goes on to the next hop: what it said to us, between other paths. */
export function passedOn(
  head: MessageHead,
  range: ByteRange | undefined,
  { toPath, fromPath, start, contentType }: Pick<SendParts, 'toPath' | 'fromPath' | 'start' | 'contentType'>,
): SendParts {
  return {
    toPath,
    fromPath,
    start,
    contentType,
    messageId: head.messageId!,
    total: range?.total,
    ranged: range !== undefined,
    successReport: head.successReport,
    failureReport: head.failureReport,
    fields: head.others.length === 0 ? '' : head.others.map((line) => `${line}\r\n`).join(''),
  };
}
