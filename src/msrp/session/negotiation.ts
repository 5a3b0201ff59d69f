import { msrpError } from '../errors.js';
import {
  answerSetup,
  formatAnswer,
  formatOffer,
  offererIsActive,
  parseMsrpMedia,
  type LocalMedia,
  type MsrpMedia,
} from '../sdp/index.js';
import type { MsrpSession } from './session.js';

/** What our description says beside path and role. */
export type MediaProfile = Omit<LocalMedia, 'path' | 'setup' | 'cema'> & {
  /** True when peers cannot connect to us: then we connect wherever the offer leaves it open (RFC 6135 §4.2). */
  readonly behindNat?: boolean | undefined;
};

/** The offers and answers of one session's dialog (RFC 3264, RFC 4975 §8, RFC 6135, RFC 6714). */
export class MsrpNegotiation {
  readonly session: MsrpSession;
  readonly #profile: MediaProfile;
  readonly #sessionId: string;
  #version = 0;
  #description = '';

  constructor(session: MsrpSession, profile: MediaProfile) {
    this.session = session;
    this.#profile = profile;
    // a number within 63 bits, unlike that of other sessions (RFC 8866 §5.2)
    this.#sessionId = String(Math.floor(Math.random() * Number.MAX_SAFE_INTEGER));
  }

  /** The last description of ours that was written. */
  get description(): string {
    return this.#description;
  }

  /** Our offer; again for each further exchange that we begin. */
  offer(): string {
    const setup = this.#profile.behindNat ? 'actpass' : 'passive';
    this.#description = formatOffer(this.#local(setup, true), this.#origin());
    return this.#description;
  }

  /**
   * Answers the peer's offer and takes it for the session.
   * @throws ParleyError `msrp-sdp-malformed`, `msrp-sdp-unacceptable`; the session is as before.
   */
  answer(offer: string | Uint8Array): string {
    const peer = usable(parseMsrpMedia(offer));
    // without the attribute the offerer connects (RFC 4975 §5.4)
    const setup = answerSetup(peer.setup ?? 'active', this.#profile.behindNat ?? false);
    this.#description = formatAnswer(offer, this.#local(setup, peer.cema), this.#origin());
    this.session.connect(peer, setup === 'active');
    return this.#description;
  }

  /** Takes the peer's answer to our offer. @throws ParleyError as {@link answer}. */
  accept(answer: string | Uint8Array): MsrpMedia {
    const peer = usable(parseMsrpMedia(answer));
    this.session.connect(peer, offererIsActive(peer.setup));
    return peer;
  }

  #local(setup: LocalMedia['setup'], cema: boolean): LocalMedia {
    return { ...this.#profile, path: [this.session.uri], setup, cema };
  }

  #origin(): { sessionId: string; version: number } {
    return { sessionId: this.#sessionId, version: ++this.#version };
  }
}

function usable(media: MsrpMedia): MsrpMedia {
  if (media.path.length === 0) throw msrpError('msrp-sdp-unacceptable', 'the section is refused');
  return media;
}
