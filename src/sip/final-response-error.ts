import type { SipResponse } from './message/message.js';

/** A request that was to make a dialog got a final response other than 2xx. */
export class FinalResponseError extends Error {
  override readonly name = 'FinalResponseError';
  readonly response: SipResponse;
  readonly status: number;

  constructor(response: SipResponse) {
    super(`${response.status} ${response.reason}`);
    this.response = response;
    this.status = response.status;
  }
}
