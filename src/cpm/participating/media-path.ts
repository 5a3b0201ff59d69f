import { ParleyError } from '../../base/errors.js';
import {
  answerSetup,
  offererIsActive,
  parseMsrpMedia,
  rewriteMsrpMedia,
  type MsrpMedia,
  type Setup,
} from '../../msrp/sdp/index.js';
import {
  splice,
  type MessageObserver,
  type MsrpEndpoint,
  type MsrpSession,
  type PassingMessage,
  type SessionPlace,
  type Splice,
  type SpliceOptions,
} from '../../msrp/session/index.js';
import { sameMsrpUri, type MsrpUri } from '../../msrp/uri.js';

/** Early dialogs of one invitation that are told apart. */
const MOST_DIALOGS = 64;

/** The two ends of a session in whose middle we are: the caller's and the callee's. */
export type End = 'uas' | 'uac';

const other = (end: End): End => (end === 'uas' ? 'uac' : 'uas');

export interface MediaPathOptions extends Pick<SpliceOptions, 'messageOctets'> {
  readonly subject: string;
  /** Of the caller: the listener that its transport needs is the one it is sent to. */
  readonly offer?: MsrpMedia | undefined;
  /** Asked when a message of an end begins: who is to see it pass. */
  readonly observe?: ((message: PassingMessage, from: End) => MessageObserver | undefined) | undefined;
  /** The listener that the callee is sent to, where it is known what it needs. */
  readonly callee?: SessionPlace | undefined;
  readonly lost: (error: ParleyError) => void;
}

interface Offer {
  readonly from: End;
  readonly media: MsrpMedia;
}

/**
 * Our place in the media of one session: an MSRP session towards each end, joined, and their descriptions, in which path, role
 * and address become ours (RFC 4975 §8, RFC 6135 §4.2, RFC 6714) and everything else stays.
 */
export class MediaPath {
  readonly #sessions: Readonly<Record<End, MsrpSession>>;
  readonly #splice: Splice;
  readonly #endpoint: MsrpEndpoint;
  /** Our URI towards the callee in its first description. */
  readonly #calleeUri: MsrpUri;
  /** Another one that a device of the callee got, by the tag of its dialog. */
  readonly #calleeUris = new Map<string, MsrpUri>();
  #offer: Offer | undefined;
  /** The last answer, since a final response repeats that of a provisional one. */
  #answered: { readonly from: End; readonly text: string; readonly result: Uint8Array } | undefined;

  /**
   * @param lost an end cannot be reached: the session should end.
   * @throws ParleyError `msrp-limit`.
   */
  constructor(endpoint: MsrpEndpoint, options: MediaPathOptions) {
    const { subject, lost, offer } = options;
    this.#endpoint = endpoint;
    const uas = endpoint.createSession({ subject, events: { lost } }, placeFor(endpoint, offer));
    try {
      this.#sessions = { uas, uac: endpoint.createSession({ subject, events: { lost } }, options.callee) };
    } catch (error) {
      uas.close();
      throw error;
    }
    this.#calleeUri = this.#sessions.uac.uri;
    const { observe, messageOctets } = options;
    this.#splice = splice(uas, this.#sessions.uac, {
      messageOctets,
      observe: observe && ((message) => observe(message, message.from === uas ? 'uas' : 'uac')),
    });
  }

  /** By it the callee's descriptions are known to be of this session, whichever listener they name. */
  get calleeSessionId(): string {
    return this.#calleeUri.sessionId!;
  }

  /** What passed, both directions together. */
  get passed(): { bytes: number; messages: number } {
    const { forth, back } = this.#splice;
    return { bytes: forth.octets + back.octets, messages: forth.messages + back.messages };
  }

  /** An offer of one end as the other gets it. @throws ParleyError `msrp-sdp-*`. */
  offer(description: Uint8Array, from: End): Uint8Array {
    const media = parseMsrpMedia(description);
    this.#offer = { from, media };
    this.#answered = undefined;
    return this.#rewrite(description, other(from), 'actpass');
  }

  /**
   * What a device of the callee is offered in place of the first description of ours, where its transport needs another listener:
   * one description names one (RFC 4975 §8, RFC 7977 §4). All of them lead to the same session.
   * @param description ours. @param contact of the device. @returns undefined when it can use the description as it is.
   */
  offerFor(
    description: Uint8Array,
    contact: string,
  ): { body: Uint8Array; answered: (tag: string) => void } | undefined {
    const uri = this.#endpoint.uriAt(this.#calleeUri.sessionId!, placeForContacts(this.#endpoint, [contact]));
    if (sameMsrpUri(uri, this.#calleeUri)) return undefined;
    return {
      body: this.#describe(description, uri, 'actpass'),
      answered: (tag) => {
        if (this.#calleeUris.size < MOST_DIALOGS) this.#calleeUris.set(tag, uri);
      },
    };
  }

  /**
   * The answer to that offer as the offerer gets it; from then on the media flow.
   * @param tag of the answerer's dialog. @throws ParleyError `msrp-sdp-*`.
   */
  answer(description: Uint8Array, from: End, tag?: string): Uint8Array {
    const text = Buffer.from(description).toString('latin1');
    const before = this.#answered;
    if (before?.from === from && before.text === text) return before.result;
    const offer = this.#offer;
    if (!offer || offer.from === from)
      throw new ParleyError('msrp-sdp-unacceptable', 'an answer without offer');
    const media = parseMsrpMedia(description);
    // refused: there is nothing to be in the middle of
    if (media.path.length === 0 || media.port === 0) return description;
    const setup = answerSetup(offer.media.setup ?? 'active', false);
    const result = this.#rewrite(description, offer.from, setup);
    if (from === 'uac') this.#sessions.uac.knownAs(this.#calleeUris.get(tag ?? '') ?? this.#calleeUri);
    this.#sessions[from].connect(media, offererIsActive(media.setup));
    this.#sessions[offer.from].connect(offer.media, setup === 'active');
    this.#answered = { from, text, result };
    return result;
  }

  /** Whether an offer waits for its answer from that end. */
  awaitsAnswerOf(end: End): boolean {
    return this.#offer?.from === other(end);
  }

  close(): void {
    this.#sessions.uas.close();
    this.#sessions.uac.close();
  }

  #rewrite(description: Uint8Array, toward: End, setup: Setup): Uint8Array {
    return this.#describe(description, this.#sessions[toward].uri, setup);
  }

  #describe(description: Uint8Array, uri: MsrpUri, setup: Setup): Uint8Array {
    const fingerprint = uri.secure ? this.#endpoint.fingerprint : undefined;
    const own = { path: [uri], setup, cema: true, fingerprint };
    return Buffer.from(rewriteMsrpMedia(description, own));
  }
}

/** A browser reaches us by WebSocket alone, and who offers TLS wants TLS, if we listen so. */
function placeFor({ listeners }: MsrpEndpoint, offer: MsrpMedia | undefined): SessionPlace {
  const next = offer?.path[0];
  if (!next) return {};
  const place = { transport: next.transport === 'ws' ? 'ws' : 'tcp', secure: next.secure } as const;
  const listens = listeners.some(
    ({ kind }) => kind.transport === place.transport && kind.secure === place.secure,
  );
  return listens ? place : {};
}

/**
 * Where a callee is sent whose devices are all browsers: a WebSocket listener, over TLS if there is one, since a page that came over
 * TLS may open no other (RFC 7977 §4). Others are sent to TCP.
 * @param contacts of the devices that will be rung.
 */
export function placeForContacts({ listeners }: MsrpEndpoint, contacts: readonly string[]): SessionPlace {
  const browsers =
    contacts.length > 0 && contacts.every((contact) => /;transport=wss?(?:[;>?]|$)/i.test(contact));
  const kinds = listeners.map(({ kind }) => kind).filter(({ transport }) => transport === 'ws');
  if (!browsers || kinds.length === 0) return {};
  return { transport: 'ws', secure: kinds.some(({ secure }) => secure) };
}
