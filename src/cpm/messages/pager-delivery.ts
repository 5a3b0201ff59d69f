import type { SessionCase } from '../../core/service.js';
import { cpmServices } from '../../identity/cpm-services.js';
import { SIP_INSTANCE } from '../../identity/feature-tags.js';
import type { HeaderMap } from '../../sip/message/headers.js';
import type { SipStack } from '../../sip/stack.js';
import { callIdOf, type Addressee } from './deferred-delivery.js';
import type { DeferredMessage } from './deferred-store.js';

export interface PagerDeliveryOptions {
  readonly stack: SipStack;
  /** Route values that lead from the messages' service to the devices of a user. */
  onward(sessionCase: SessionCase, user: { servedUser: string; set: string }): readonly string[];
}

/**
 * Sends a deferred message to a device as a pager mode MESSAGE (RFC 3428). Call-ID, From tag and CSeq of an attempt whose answer
 * was lost are used again, so that a device that has the message knows it (RFC 3261 §8.2.2.2).
 * @returns the status.
 */
export async function sendAsPager(
  message: DeferredMessage,
  to: Addressee,
  sequence: number,
  options: PagerDeliveryOptions,
): Promise<number> {
  const { recipient, set } = message;
  const response = await options.stack.request(to.device?.publicGruu ?? recipient, {
    method: 'MESSAGE',
    headers: {
      ...deferredHeaders(message, to),
      'Call-ID': callIdOf(message),
      CSeq: `${sequence} MESSAGE`,
      'P-Asserted-Service': cpmServices.message,
    },
    body: message.body,
    route: options.onward('terminating-registered', { servedUser: recipient, set }),
  });
  return response.status;
}

/** The header fields that came with a message, and what aims it at its addressee (RFC 3841 §7.2). */
export function deferredHeaders({ headers }: DeferredMessage, to: Addressee): HeaderMap {
  const fields: Record<string, string | string[]> = {};
  const add = (name: string, value: string): void => {
    const known = fields[name];
    fields[name] = known === undefined ? value : [known, value].flat();
  };
  for (const [name, value] of headers) add(name, value);
  const { device, others } = to;
  if (device?.publicGruu === undefined && device?.instance !== undefined)
    add('Accept-Contact', `*;${instanceTag(device.instance)};require;explicit`);
  for (const { instance } of others)
    if (instance !== undefined) add('Reject-Contact', `*;${instanceTag(instance)}`);
  return fields;
}

const instanceTag = (instance: string): string => `${SIP_INSTANCE}="<${instance}>"`;
