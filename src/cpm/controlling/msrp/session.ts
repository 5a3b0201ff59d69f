import type { ParleyError } from '../../../base/errors.js';
import type { Connection, ConnectionUser, RequestSink } from '../../../msrp/connection/connection.js';
import { Lane } from '../../../msrp/connection/lane.js';
import { OutgoingSend } from '../../../msrp/connection/outgoing-send.js';
import { newMessageId, type MessageHead } from '../../../msrp/message/index.js';
import {
  answerSetup,
  formatAnswer,
  formatOffer,
  parseMsrpMedia,
  type LocalMedia,
  type MsrpMedia,
} from '../../../msrp/sdp/index.js';
import type { MsrpUri } from '../../../msrp/uri.js';
import type { GroupMessage, MediaSession } from '../media.js';

/** Octets of a message that one participant may send. */
const MAX_MESSAGE_OCTETS = 10 * 1024 * 1024;
/** Octets that may wait for a participant; what is more is not sent to it now. */
const HIGH_WATER = 1024 * 1024;
/** Messages of one participant that are under way at once. */
const MAX_OPEN_MESSAGES = 16;

interface OpenMessage {
  readonly contentType: string;
  readonly pieces: Buffer[];
  octets: number;
}

/** The focus's side of one MSRP session (RFC 4975), with the media attributes of a chat room (RFC 7701 §8). */
export class GroupMsrpSession implements MediaSession, ConnectionUser {
  description: string;
  readonly uri: MsrpUri;
  readonly #local: LocalMedia;
  readonly #dial: (session: GroupMsrpSession, media: MsrpMedia) => void;
  readonly #onClose: (session: GroupMsrpSession) => void;
  readonly #lane = new Lane(HIGH_WATER);
  readonly #open = new Map<string, OpenMessage>();
  #listener: ((message: GroupMessage) => Promise<number>) | undefined;
  #peerPath: string | undefined;
  #connection: Connection | undefined;
  #version = 1;

  /** @param offer the peer's; without it the description is our offer. @throws ParleyError `msrp-sdp-*` */
  constructor(
    uri: MsrpUri,
    offer: Uint8Array | undefined,
    hooks: {
      dial(session: GroupMsrpSession, media: MsrpMedia): void;
      onClose(session: GroupMsrpSession): void;
    },
  ) {
    this.uri = uri;
    this.#dial = (session, media) => hooks.dial(session, media);
    this.#onClose = (session) => hooks.onClose(session);
    const offered = offer && parseMsrpMedia(offer);
    this.#local = {
      path: [uri],
      setup: offered ? answerSetup(offered.setup ?? 'active', false) : 'passive',
      cema: offered?.cema ?? true,
      acceptTypes: ['message/cpim'],
      acceptWrappedTypes: ['*'],
      maxSize: MAX_MESSAGE_OCTETS,
      chatroom: ['private-messages'],
    };
    const origin = { sessionId: String(Date.now()), version: this.#version };
    this.description = offer ? formatAnswer(offer, this.#local, origin) : formatOffer(this.#local, origin);
    if (offered) this.#peer(offered, this.#local.setup === 'active');
  }

  accept(description: Uint8Array): void {
    const media = parseMsrpMedia(description);
    this.#peer(media, media.setup === 'passive');
  }

  onMessage(listener: (message: GroupMessage) => Promise<number>): void {
    this.#listener = listener;
  }

  send({ contentType, octets }: GroupMessage): Promise<boolean> {
    const peer = this.#peerPath;
    if (peer === undefined || this.#lane.full) return Promise.resolve(false);
    return new Promise((resolve) => {
      const send = new OutgoingSend(
        {
          toPath: peer,
          fromPath: this.uri.text,
          messageId: newMessageId(),
          start: 1,
          total: octets.length,
          ranged: true,
          successReport: false,
          failureReport: 'yes',
          fields: '',
          contentType,
        },
        {
          answered: (status, _start, end) => {
            if (status !== 200) resolve(false);
            else if (end >= octets.length) resolve(true);
          },
          sent: () => {},
          lost: () => resolve(false),
        },
      );
      this.#lane.open(send);
      this.#lane.write(send, Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength));
      this.#lane.end(send, '$');
    });
  }

  /** The connection that the session lives on from now. */
  bind(connection: Connection): void {
    if (this.#connection) return;
    this.#connection = connection;
    connection.addUser(this);
    this.#lane.attach(connection);
  }

  /** A request for this session, whose To-Path has been found to be ours. */
  receive(connection: Connection, head: MessageHead, hasBody: boolean): RequestSink {
    const status = this.#judge(connection, head);
    if (status === 200) this.bind(connection);
    if (status !== 200 || !hasBody || head.method !== 'SEND') return refusing(connection, head, status);
    const start = startOf(head);
    if (start === undefined) return refusing(connection, head, 400);
    const id = head.messageId ?? '';
    let open = this.#open.get(id);
    // chunks are put together in the order in which they come; what begins elsewhere would corrupt the message
    if (start !== (open?.octets ?? 0) + 1) {
      this.#open.delete(id);
      return refusing(connection, head, 413);
    }
    if (!open) {
      if (this.#open.size >= MAX_OPEN_MESSAGES) return refusing(connection, head, 413);
      open = { contentType: head.contentType ?? '', pieces: [], octets: 0 };
      this.#open.set(id, open);
    }
    return this.#sink(connection, head, id, open);
  }

  connectionLost(_error: ParleyError): void {
    this.#connection = undefined;
    this.#open.clear();
    this.#lane.close();
  }

  close(): void {
    this.#lane.close();
    this.#connection?.removeUser(this);
    this.#connection = undefined;
    this.#onClose(this);
  }

  #peer(media: MsrpMedia, active: boolean): void {
    this.#peerPath = media.path.map(({ text }) => text).join(' ');
    if (active) this.#dial(this, media);
  }

  #judge(connection: Connection, head: MessageHead): number {
    if (head.fault !== undefined) return 400;
    if (this.#peerPath !== undefined && head.fromPath !== this.#peerPath) return 481;
    if (this.#connection && this.#connection !== connection) return 506;
    return head.method === 'SEND' || head.method === 'REPORT' ? 200 : 501;
  }

  #sink(connection: Connection, head: MessageHead, id: string, open: OpenMessage): RequestSink {
    return {
      body: (piece) => {
        open.octets += piece.length;
        if (open.octets <= MAX_MESSAGE_OCTETS) open.pieces.push(piece);
      },
      end: (flag) => {
        const answer = (status: number): void => {
          if (head.failureReport === 'yes' || (head.failureReport === 'partial' && status !== 200))
            connection.respond(head, status);
        };
        if (open.octets > MAX_MESSAGE_OCTETS) {
          this.#open.delete(id);
          answer(413);
        } else if (flag === '+') answer(200);
        else {
          this.#open.delete(id);
          if (flag === '#' || !this.#listener) answer(flag === '#' ? 200 : 481);
          else {
            const message = { contentType: open.contentType, octets: Buffer.concat(open.pieces) };
            this.#listener(message).then(answer, () => answer(500));
          }
        }
      },
      lost: () => this.#open.delete(id),
    };
  }
}

/** Position of a chunk's first octet, counted from 1 (RFC 4975 §7.1.1); undefined for a Byte-Range that is none. */
function startOf(head: MessageHead): number | undefined {
  try {
    return head.range()?.start ?? 1;
  } catch {
    return undefined;
  }
}

/** Reads the rest of a request and answers it. REPORTs are never answered (RFC 4975 §7.1.2). */
export function refusing(connection: Connection, head: MessageHead, status: number): RequestSink {
  return {
    body: () => {},
    end: () => {
      if (head.method !== 'REPORT' && head.failureReport !== 'no') connection.respond(head, status);
    },
    lost: () => {},
  };
}
