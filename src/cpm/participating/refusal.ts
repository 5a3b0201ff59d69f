import { ParleyError } from '../../base/errors.js';
import type { Trail } from '../../base/trail.js';
import type { ServiceCall } from '../../core/service.js';
import { shortReason } from '../../sip/message/reason-phrases.js';
import { warningOf } from '../policy/warnings.js';
import './errors.js';

/** Ends a message that its recipient is not to get, of which its sender is not to know. @param code of the event in the trail. */
export function swallow({ request, response, servedUser }: ServiceCall, code: string, trail: Trail): void {
  trail.record({
    code,
    outcome: 'refused',
    clause: 'OMA CPM user preferences',
    subject: servedUser,
    trace: request.callId,
  });
  response.send(200);
}

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
  response.send(error.sip, { headers: warningOf(code, agent), reason: shortReason(error.message) });
}
