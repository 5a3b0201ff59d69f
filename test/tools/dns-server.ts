import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';

/** Records by name; what is not there does not exist. */
export interface Zone {
  readonly [name: string]: {
    readonly a?: readonly string[];
    readonly aaaa?: readonly string[];
    /** `priority weight port target` */
    readonly srv?: readonly string[];
    /** `order preference "flags" "service" replacement` */
    readonly naptr?: readonly string[];
    readonly ttl?: number;
  };
}

const types = { a: 1, aaaa: 28, srv: 33, naptr: 35 } as const;
type Type = keyof typeof types;
const SERVFAIL = 2;
const NXDOMAIN = 3;

/** A DNS server on loopback that answers from a zone over UDP (RFC 1035), and says what it was asked. */
export class DnsServer {
  /** `type name` of each question, in order. */
  readonly questions: string[] = [];
  /** Answers SERVFAIL while it is true. */
  broken = false;
  readonly #zone: Zone;
  readonly #socket: Socket = createSocket('udp4');

  constructor(zone: Zone) {
    this.#zone = zone;
    this.#socket.on('message', (query, remote) => this.#answer(query, remote));
  }

  /** @returns `address:port` for `Resolver.setServers`. */
  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#socket.bind(0, '127.0.0.1', resolve));
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }

  #answer(query: Buffer, remote: RemoteInfo): void {
    const labels: string[] = [];
    let pos = 12;
    for (let length = query[pos]!; length > 0; length = query[pos]!) {
      labels.push(query.toString('latin1', pos + 1, pos + 1 + length));
      pos += 1 + length;
    }
    const code = query.readUInt16BE(pos + 1);
    const type = (Object.keys(types) as Type[]).find((key) => types[key] === code);
    const name = labels.join('.').toLowerCase();
    this.questions.push(`${type} ${name}`);
    const entry = this.#zone[name];
    const records = entry && type ? (entry[type] ?? []) : [];
    const header = Buffer.alloc(12);
    header.writeUInt16BE(query.readUInt16BE(0), 0);
    header.writeUInt16BE(0x8580 | (this.broken ? SERVFAIL : entry ? 0 : NXDOMAIN), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(this.broken ? 0 : records.length, 6);
    const answers = this.broken ? [] : records.map((text) => record(type!, text, entry?.ttl ?? 60));
    this.#socket.send(
      Buffer.concat([header, query.subarray(12, pos + 5), ...answers]),
      remote.port,
      remote.address,
    );
  }
}

/** One resource record for the name of the question, to which a pointer leads (RFC 1035 §4.1.4). */
function record(type: Type, text: string, ttl: number): Buffer {
  const data = recordData(type, text);
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(types[type], 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(ttl, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function recordData(type: Type, text: string): Buffer {
  const words = text.split(' ').map((word) => word.replaceAll('"', ''));
  switch (type) {
    case 'a':
      return Buffer.from(text.split('.').map(Number));
    case 'aaaa':
      return ipv6(text);
    case 'srv':
      return Buffer.concat([numbers(words.slice(0, 3)), domain(words[3]!)]);
    case 'naptr':
      // flags, service and an empty regular expression are character strings (RFC 3403 §4.1)
      return Buffer.concat([
        numbers(words.slice(0, 2)),
        label(words[2]!),
        label(words[3]!),
        label(''),
        domain(words[4]!),
      ]);
  }
}

function numbers(words: readonly string[]): Buffer {
  const octets = Buffer.alloc(words.length * 2);
  words.forEach((word, index) => octets.writeUInt16BE(Number(word), index * 2));
  return octets;
}

function label(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text, 'latin1')]);
}

function domain(name: string): Buffer {
  const labels = name === '.' ? [] : name.split('.');
  return Buffer.concat([...labels.map(label), Buffer.from([0])]);
}

/** An address with `::` or in full. */
function ipv6(text: string): Buffer {
  const [head = '', tail] = text.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = new Array<string>(8 - left.length - right.length).fill('0');
  const octets = Buffer.alloc(16);
  [...left, ...zeros, ...right].forEach((group, index) =>
    octets.writeUInt16BE(parseInt(group, 16), index * 2),
  );
  return octets;
}
