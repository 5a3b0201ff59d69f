import { orNone, ParleyError } from '../../base/errors.js';
import { parseAor } from '../../identity/aor.js';
import type { SipRequest } from '../../sip/message/message.js';
import type { Policies } from '../policy/policies.js';
import { entitlementTo, type InvitationJudge } from './invitation-judge.js';
import { laterMsrpOffers } from './offer.js';
import type { SessionRecord, SessionRecords } from './session-records.js';

export interface LaterOffersOptions {
  readonly judge: Pick<InvitationJudge, 'ofOffer'>;
  readonly records: Pick<SessionRecords, 'get'>;
  readonly policies: Pick<Policies, 'of'>;
  /** Key of the registration set of a user here, undefined for anybody else. */
  setOf(aor: string): Promise<string | undefined>;
}

/** Judges what is offered inside a session as what was offered with its invitation: a file may be added to it (RFC 5547 §8). */
export class LaterOffers {
  readonly #options: LaterOffersOptions;

  constructor(options: LaterOffersOptions) {
    this.#options = options;
  }

  /**
   * @returns undefined at once for a request that offers nothing; else it rejects with a ParleyError when one of the two users, as far
   * as they are users here, may not have what is offered: `cpm-not-entitled`, `cpm-size-exceeded`, or `cpm-offer-unacceptable`.
   */
  judge(request: SipRequest): Promise<void> | undefined {
    const mayOffer = request.method === 'INVITE' || request.method === 'UPDATE' || request.method === 'PRACK';
    return mayOffer && request.body.length > 0 ? this.#judge(request) : undefined;
  }

  async #judge(request: SipRequest): Promise<void> {
    const offers = laterMsrpOffers(request);
    if (offers.length === 0) return;
    const { judge, policies } = this.#options;
    const record = await this.#record(request);
    const sets = record ? [record.caller.set, record.callee.set] : await this.#setsOf(request);
    for (const set of new Set(sets)) {
      if (set === undefined) continue;
      const refusal = judge.ofOffer(entitlementTo(record?.service), offers, await policies.of(set));
      if (refusal !== undefined) throw new ParleyError(refusal, 'offered inside the session');
    }
  }

  async #record({ callId, fromTag = '', toTag = '' }: SipRequest): Promise<SessionRecord | undefined> {
    const { records } = this.#options;
    return (await records.get(`${callId}\t${fromTag}`)) ?? records.get(`${callId}\t${toTag}`);
  }

  /** Of a session that is not answered yet, and so has no record. */
  #setsOf({ from, to }: SipRequest): Promise<(string | undefined)[]> {
    const users = [from, to].map(({ uriText }) => orNone(() => parseAor(uriText)));
    return Promise.all(users.map(async (user) => user && this.#options.setOf(user)));
  }
}
