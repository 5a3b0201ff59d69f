import { ParleyError } from '../../base/errors.js';
import type { MessageHead } from '../../msrp/message/index.js';
import { utf8 } from '../../msrp/message/index.js';
import { accepts, parseMsrpMedia, type MsrpMedia } from '../../msrp/sdp/index.js';
import {
  MsrpNegotiation,
  wholeMessages,
  type MediaProfile,
  type MsrpEndpoint,
  type MsrpSession,
} from '../../msrp/session/index.js';
import type { GroupMedia, GroupMessage, MediaListener, MediaSession } from './media.js';

/** What chat rooms say of themselves (RFC 7701 §8). */
const ROOM: Omit<MediaProfile, 'maxSize'> = {
  acceptTypes: ['message/cpim'],
  acceptWrappedTypes: ['*'],
  chatroom: ['nickname', 'private-messages'],
};

/** The MSRP sessions of the focuses, on the endpoint that the process has. */
export class MsrpGroupMedia implements GroupMedia {
  readonly #endpoint: MsrpEndpoint;
  readonly #messageOctets: number;

  /** @param messageOctets of one message at most; a message must fit a record of the store. */
  constructor(endpoint: MsrpEndpoint, messageOctets: number) {
    this.#endpoint = endpoint;
    this.#messageOctets = messageOctets;
  }

  offer(): MediaSession {
    const session = new GroupSession(this.#endpoint, this.#messageOctets);
    session.offer();
    return session;
  }

  answer(offer: Uint8Array): MediaSession {
    const session = new GroupSession(this.#endpoint, this.#messageOctets);
    try {
      session.answer(offer);
    } catch (error) {
      session.close();
      throw error;
    }
    return session;
  }
}

class GroupSession implements MediaSession {
  readonly #session: MsrpSession;
  readonly #negotiation: MsrpNegotiation;
  #peer: MsrpMedia | undefined;
  #listener: MediaListener | undefined;
  /** Resolves once somebody listens, or with nobody when the session ends before. */
  readonly #listening: Promise<MediaListener | undefined>;
  #settle!: (listener: MediaListener | undefined) => void;
  #onConnected: () => void = () => {};

  constructor(endpoint: MsrpEndpoint, messageOctets: number) {
    this.#listening = new Promise((resolve) => (this.#settle = resolve));
    this.#session = endpoint.createSession({
      receiver: wholeMessages(messageOctets, ({ contentType, octets }) =>
        this.#taken((listener) => listener.message({ contentType, octets })),
      ),
      events: { bound: () => this.#onConnected(), lost: () => this.#listener?.lost() },
      otherRequest: (head) => this.#other(head),
    });
    this.#negotiation = new MsrpNegotiation(this.#session, { ...ROOM, maxSize: messageOctets });
  }

  get description(): string {
    return this.#negotiation.description;
  }

  get connected(): boolean {
    return this.#session.isBound;
  }

  get privateMessages(): boolean {
    return this.#peer?.chatroom?.includes('private-messages') ?? false;
  }

  offer(): void {
    this.#negotiation.offer();
  }

  answer(offer: Uint8Array): void {
    this.#negotiation.answer(offer);
    this.#peer = parseMsrpMedia(offer);
  }

  accept(answer: Uint8Array): void {
    this.#peer = this.#negotiation.accept(answer);
  }

  accepts(mediaType: string): boolean {
    const types = this.#peer?.acceptWrappedTypes ?? [];
    return types.length === 0 || accepts(types, mediaType);
  }

  async send({ contentType, octets }: GroupMessage): Promise<number> {
    if (this.#session.isClosed) return 481;
    try {
      const status = await this.#session.send({ contentType, content: octets }).sent;
      if (status === 481) this.#gone();
      return status;
    } catch (error) {
      // more wait for this peer than a session holds
      if (error instanceof ParleyError) return 408;
      throw error;
    }
  }

  listen(listener: MediaListener): void {
    this.#listener = listener;
    this.#settle(listener);
  }

  onConnected(listener: () => void): void {
    this.#onConnected = listener;
  }

  close(): void {
    this.#session.close();
    this.#settle(undefined);
  }

  /**
   * Who has accepted may speak at once, before its coming is stored: what it says waits until then. A 481 would tell it that the session
   * is no more (RFC 4975 §10.8).
   */
  async #taken(take: (listener: MediaListener) => Promise<number>): Promise<number> {
    const listener = this.#listener ?? (await this.#listening);
    return listener ? take(listener) : 481;
  }

  /** The peer does not know the session any more, which ends ours (RFC 4975 §10.8). */
  #gone(): void {
    if (this.#session.isClosed) return;
    this.#session.close();
    this.#listener?.lost();
  }

  #other(head: MessageHead): number | Promise<number> {
    if (head.method !== 'NICKNAME') return 501;
    const name = nicknameOf(head.other('Use-Nickname'));
    return name === undefined ? 424 : this.#taken((listener) => listener.nickname(name));
  }
}

/** Octets of a nickname at most. */
const MAX_NICKNAME = 1023;

/** The quoted text of Use-Nickname (RFC 7701 §7.1); empty to give the nickname back; undefined for one that is none. */
function nicknameOf(value: string | undefined): string | undefined {
  const quoted = /^"((?:[^"\\]|\\.)*)"$/.exec(value ?? '')?.[1];
  if (quoted === undefined || quoted.length > MAX_NICKNAME) return undefined;
  return utf8(quoted.replace(/\\(.)/g, '$1'));
}
