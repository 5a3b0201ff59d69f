import { ParleyError } from '../../base/errors.js';
import type { Trail } from '../../base/trail.js';
import type { SendOptions } from '../../sip/stack.js';
import type { ServiceCall } from '../../core/service.js';
import { shortReason } from '../../sip/message/reason-phrases.js';
import { writeWarning } from '../../sip/message/warning.js';
import './errors.js';

/** Texts that clients look for in Warning 399, by error code. */
const warnings: Readonly<Record<string, string>> = {
  'cpm-not-entitled': '127 Service not authorised',
  'cpm-size-exceeded': '133 Size exceeded',
};

/** Refuses a request with the reason. @param agent the domain that warns. */
export function refuse(
  { request, response, servedUser }: ServiceCall,
  code: string,
  { trail, agent, detail }: { trail: Trail; agent: string; detail?: string },
): void {
  const error = new ParleyError(code, detail);
  trail.record({
    code,
    outcome: 'refused',
    clause: error.clause ?? 'OMA CPM §5.2.3.1.1',
    subject: servedUser,
    trace: request.callId,
    detail: request.method,
  });
  const text = warnings[code];
  const options: SendOptions =
    text === undefined ? {} : { headers: { Warning: writeWarning({ code: 399, agent, text }) } };
  response.send(error.sip, { ...options, reason: shortReason(error.message) });
}
