import { ParleyError } from '../base/errors.js';
import { parseParams, writeParams } from '../sip/message/lexer.js';
import type { SipRequest } from '../sip/message/message.js';

/**
 * P-Charging-Vector of a response: that of the request with this network as the terminating one (RFC 7315 §4.6, 3GPP TS 24.229 §5.4.1.2.2).
 * @returns undefined when the request names no originating network, or has a vector that cannot be read.
 */
export function answeredChargingVector(request: SipRequest, network: string): string | undefined {
  const vector = request.get('P-Charging-Vector');
  if (vector === undefined) return undefined;
  try {
    const params = parseParams(`;${vector}`, 0, 'P-Charging-Vector');
    if (!params.has('orig-ioi')) return undefined;
    return writeParams(params.set('term-ioi', network)).slice(1);
  } catch (error) {
    if (error instanceof ParleyError) return undefined;
    throw error;
  }
}
