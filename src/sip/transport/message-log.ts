import { endpoint } from '../../base/endpoint.js';
import type { Logger } from '../../base/log.js';
import type { Parsed } from '../message/parse.js';
import { serialize } from '../message/serialize.js';
import type { Via } from '../message/via.js';
import type { NextHop } from '../transaction/layer.js';
import type { Receiver, SendDone, Way, Wire } from './way.js';

/**
 * Transports that write every message to the log at level `trace`, with `peer` as `udp 192.0.2.1:5060`; the transports themselves
 * while that level is off, so that nothing is spent on it. What proves who somebody is, keys of media, and what people write to each
 * other are left out.
 */
export function logMessages(wire: Wire, log: Logger): Wire {
  return log.isLevelEnabled('trace') ? new LoggedWire(wire, log) : wire;
}

type Peer = Pick<NextHop, 'protocol' | 'address' | 'port'>;

class LoggedWire implements Wire {
  readonly #wire: Wire;
  readonly #log: Logger;
  #receiver: Receiver = () => {};

  constructor(wire: Wire, log: Logger) {
    this.#wire = wire;
    this.#log = log;
  }

  get onMessage(): Receiver {
    return this.#receiver;
  }

  set onMessage(receiver: Receiver) {
    this.#receiver = receiver;
    this.#wire.onMessage = (parsed, way) => {
      this.#write('SIP message received', way, textOf(parsed));
      receiver(parsed, new LoggedWay(way, (octets) => this.#sent(octets, way)));
    };
  }

  get onDelay(): Wire['onDelay'] {
    return this.#wire.onDelay;
  }

  set onDelay(taker: Wire['onDelay']) {
    this.#wire.onDelay = taker;
  }

  sentBy(hop: NextHop): ReturnType<Wire['sentBy']> {
    return this.#wire.sentBy(hop);
  }

  streamFor(hop: NextHop, bytes: number): NextHop | undefined {
    return this.#wire.streamFor(hop, bytes);
  }

  streamFailed(hop: NextHop): void {
    this.#wire.streamFailed(hop);
  }

  send(octets: Buffer, hop: NextHop, done: SendDone): void {
    this.#sent(octets, hop);
    this.#wire.send(octets, hop, done);
  }

  #sent(octets: Buffer, peer: Peer): void {
    this.#write('SIP message sent', peer, octets.toString());
  }

  #write(what: string, { protocol, address, port }: Peer, text: string): void {
    this.#log.trace({ peer: `${protocol} ${endpoint(address, port)}`, message: withoutSecrets(text) }, what);
  }
}

class LoggedWay implements Way {
  readonly protocol: Way['protocol'];
  readonly address: string;
  readonly port: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly flow: string;
  readonly #way: Way;
  readonly #sent: (octets: Buffer) => void;

  constructor(way: Way, sent: (octets: Buffer) => void) {
    this.#way = way;
    this.#sent = sent;
    ({
      protocol: this.protocol,
      address: this.address,
      port: this.port,
      localAddress: this.localAddress,
      localPort: this.localPort,
      flow: this.flow,
    } = way);
  }

  reply(octets: Buffer, via: Via, done: SendDone): void {
    this.#sent(octets);
    this.#way.reply(octets, via, done);
  }

  send(octets: Buffer, done: SendDone): void {
    this.#sent(octets);
    this.#way.send(octets, done);
  }
}

/** Of what could not be read, why, and what could. */
function textOf(parsed: Parsed): string {
  if (parsed.kind !== 'malformed') return serialize(parsed.message).toString();
  const read = parsed.request === undefined ? '' : `\r\n${serialize(parsed.request).toString()}`;
  return `(malformed: ${parsed.why})${read}`;
}

/** Also in the body, where third-party registration has whole messages (3GPP TS 24.229 §5.4.1.7A). A value may be folded. */
const CREDENTIALS =
  /^((?:Proxy-)?Auth(?:orization|enticate)|WWW-Authenticate|(?:Proxy-)?Authentication-Info)([ \t]*:)[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*/gim;
/** Keys of SRTP (RFC 4568), in `k=` (RFC 4566) and of key management (RFC 4567). */
const MEDIA_KEYS = /^(a=crypto:\d+ \S+|a=key-mgmt:\S+|k=)[^\r\n]*/gim;
/** Bodies that only machines read. */
const SHOWN =
  /^(?:c|Content-Type)[ \t]*:[ \t]*(?:multipart\/|message\/(?:sipfrag|imdn)|application\/(?!octet-stream|vnd\.3gpp\.sms))/im;

/** Parts of a multipart body that people write. */
const WRITTEN = /^Content-Type[ \t]*:[ \t]*(?:text|image|audio|video|message\/cpim)/im;

function withoutSecrets(text: string): string {
  const end = text.indexOf('\r\n\r\n');
  const head = end < 0 ? text : text.slice(0, end + 4);
  const body = text.slice(head.length);
  const shown =
    body === '' || (SHOWN.test(head) && !WRITTEN.test(body)) ? body : `(${Buffer.byteLength(body)} octets)`;
  return (head + shown).replace(CREDENTIALS, '$1$2 (hidden)').replace(MEDIA_KEYS, '$1 (hidden)');
}
