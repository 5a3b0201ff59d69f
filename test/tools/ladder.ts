import type { SipPeer } from './sip-peer.js';

/**
 * Draws the message ladder of a real run for `docs/ladders/`: a picture of who sent what to whom, and every message whole.
 *
 *     const ladder = new Ladder('Title', 'What happens, in a sentence.');
 *     ladder.server('parley', parley.port);            // the columns, left to right, in the order they are named in
 *     ladder.peer('alice', alice.peer);                // a SipPeer: all it sends and gets is drawn
 *     ...run the flow, waiting for each step...
 *     await expect(ladder.markdown()).toMatchFileSnapshot('../../docs/ladders/NAME.md');   // `vitest run -u` writes it
 *
 * What is not a SipPeer (MSRP, HTTP) is drawn with {@link Ladder.message}. Ports, tags, branches, Call-IDs, nonces, GRUUs and
 * original dialog identifiers are numbered as they appear, so that every run gives the same text. Tests that make ladders
 * are in `test/ladders/`.
 */
export class Ladder {
  readonly #title: string;
  readonly #about: string;
  readonly #columns: { readonly name: string; readonly port: number | undefined }[] = [];
  readonly #steps: Step[] = [];
  #recording = true;

  constructor(title: string, about: string) {
    this.#title = title;
    this.#about = about;
  }

  /** A column for a node that is only drawn through its peers. */
  server(name: string, ...ports: readonly number[]): void {
    for (const port of ports.length > 0 ? ports : [undefined]) this.#columns.push({ name, port });
  }

  /** A column for a peer whose messages are drawn one by one. */
  column(name: string, peer: SipPeer): void {
    this.#columns.push({ name, port: peer.port });
  }

  /** A column for a peer, and a tap on its traffic. */
  peer(name: string, peer: SipPeer): void {
    this.column(name, peer);
    peer.tap((direction, port, octets) => {
      const other = this.#nameOf(port);
      const text = Buffer.from(octets).toString();
      if (direction === 'out') this.message(name, other, text);
      else if (!this.#isPeer(other)) this.message(other, name, text);
    });
    this.#peers.add(name);
  }

  readonly #peers = new Set<string>();

  /** Draws nothing of what happens in `fn`: what is only preparation. */
  async without<T>(fn: () => Promise<T>): Promise<T> {
    this.#recording = false;
    try {
      return await fn();
    } finally {
      this.#recording = true;
    }
  }

  /** Adds one message; its first line is its caption. */
  message(from: string, to: string, text: string): void {
    if (this.#recording) this.#steps.push({ from, to, text });
  }

  /** The page: the picture in a code block, then each message under its number. */
  markdown(): string {
    const names = new Numbers(this.#columns);
    const steps = settled(this.#steps).map((step) => ({ ...step, text: names.apply(step.text) }));
    const details = steps.map(
      ({ from, to, text }, i) =>
        `### ${i + 1}. ${from} → ${to}\n\n\`\`\`\n${text.replaceAll('\r\n', '\n').trimEnd()}\n\`\`\`\n`,
    );
    return [
      `# ${this.#title}\n`,
      `${this.#about} The messages are those of a real run, with names in place of what differs from run to run.\n`,
      `\`\`\`\n${this.#picture(steps)}\n\`\`\`\n`,
      ...details,
    ].join('\n');
  }

  /** A message between two peers is drawn once, where it is sent. */
  #isPeer(name: string): boolean {
    return this.#peers.has(name);
  }

  #nameOf(port: number): string {
    return this.#columns.find((column) => column.port === port)?.name ?? `port ${port}`;
  }

  #picture(steps: readonly Step[]): string {
    const names = [...new Set(this.#columns.map((column) => column.name))];
    const captions = steps.map(({ text }, i) => `${i + 1} ${caption(text)}`);
    const width = Math.max(
      12,
      ...captions.map((text) => text.length + 4),
      ...names.map((name) => name.length),
    );
    const at = (name: string): number => names.indexOf(name) * width;
    const bars = (): string[] => [
      ...names.map((_, i) => (i === 0 ? '|' : `${' '.repeat(width - 1)}|`)).join(''),
    ];
    const lines = [
      names
        .map((name) => name.padEnd(width))
        .join('')
        .trimEnd(),
    ];
    for (const [i, { from, to }] of steps.entries()) {
      const [left, right] = [Math.min(at(from), at(to)), Math.max(at(from), at(to))];
      const label = bars();
      const text = captions[i]!;
      const start = left + Math.max(2, Math.floor((right - left - text.length) / 2) + 1);
      for (const [k, character] of [...text].entries()) label[start + k] = character;
      const arrow = bars();
      for (let k = left + 1; k < right; k++) arrow[k] = '-';
      if (at(from) < at(to)) arrow[right - 1] = '>';
      else arrow[left + 1] = '<';
      lines.push(label.join('').trimEnd(), arrow.join('').trimEnd());
    }
    return lines.join('\n');
  }
}

interface Step {
  readonly from: string;
  readonly to: string;
  readonly text: string;
}

/** Each 100 right behind its request: whether the next hop's socket is read before it is chance. */
function settled(steps: readonly Step[]): Step[] {
  const isTrying = ({ text }: Step): boolean => text.startsWith('SIP/2.0 100 ');
  const transaction = ({ text }: Step): string =>
    ['Via', 'Call-ID', 'CSeq'].map((name) => new RegExp(`^${name}:.*$`, 'im').exec(text)?.[0]).join('\n');
  const waiting = steps.filter(isTrying);
  const placed = steps
    .filter((step) => !isTrying(step))
    .flatMap((step) => {
      const at = waiting.findIndex(
        (trying) => trying.to === step.from && transaction(trying) === transaction(step),
      );
      return at < 0 ? [step] : [step, ...waiting.splice(at, 1)];
    });
  return [...placed, ...waiting];
}

/** `INVITE sip:bob@ims.test` or `200 OK (INVITE)`. */
function caption(text: string): string {
  const [first = ''] = text.split(/\r?\n/);
  const response = /^SIP\/2\.0 (\d+ .*)$/.exec(first);
  if (!response) return first.replace(/ SIP\/2\.0$/, '').slice(0, 40);
  const method = /^CSeq:\s*\d+\s+(\S+)/im.exec(text)?.[1] ?? '';
  return `${response[1]} (${method})`.slice(0, 40);
}

/** Gives what is random a name that says what it is, numbered in order of appearance. */
class Numbers {
  readonly #seen = new Map<string, string>();
  readonly #counts = new Map<string, number>();
  readonly #ports: readonly { readonly name: string; readonly port: number | undefined }[];

  constructor(ports: readonly { readonly name: string; readonly port: number | undefined }[]) {
    this.#ports = ports;
  }

  apply(text: string): string {
    let result = text;
    for (const { name, port } of this.#ports)
      if (port !== undefined) {
        result = result
          .replaceAll(`127.0.0.1:${port}`, `${name}.test`)
          .replaceAll(`m=message ${port} `, `m=message <port of ${name}> `)
          .replaceAll(new RegExp(`received=127.0.0.1;rport=${port}|rport=${port}`, 'g'), `rport=${name}`);
      }
    // the number of our descriptions is not always as long
    if (/^o=- \d{9,}/m.test(result)) result = result.replace(/^(Content-Length: )\d+/m, '$1<octets>');
    // what is left of a week when the message goes out
    result = result.replace(/(<Validity>)60479\d(?=<)/g, (_whole, before: string) => `${before}604800`);
    // to the second: two of them may be the same, or not
    result = result.replace(/(<(?:DateTime|DeliveryTime)>)(?!20260101T000000Z)\d{8}T\d{6}Z/g, '$1<time>');
    for (const [kind, pattern] of volatile)
      result = result.replace(
        pattern,
        (_whole, before: string, value: string) => before + this.#name(kind, value),
      );
    return result;
  }

  #name(kind: string, value: string): string {
    const key = `${kind}\n${value}`;
    const known = this.#seen.get(key);
    if (known !== undefined) return known;
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    this.#seen.set(key, `${kind}-${count}`);
    return `${kind}-${count}`;
  }
}

/** What differs from run to run: the text before it, and the value. */
const volatile: readonly (readonly [string, RegExp])[] = [
  ['branch', /(branch=z9hG4bK)([^;,\s"]+)/g],
  ['tag', /(;tag=)([^;,\s"<>]+)/g],
  ['call', /(^(?:Call-ID|i):\s*)(\S+)/gim],
  ['call', /(callid=")([^"]+)/g],
  ['nonce', /((?:next)?nonce=")([^"]+)/g],
  ['cnonce', /(cnonce=")([^"]+)/g],
  ['response', /((?:response|rspauth)=")([0-9a-f]+)/g],
  ['key', /((?:ck|ik)=")([0-9a-f]+)/g],
  ['rr', /(sips?:rr\.)([\w.-]+)/g],
  ['odi', /(sips?:odi\.)([\w.-]+)/g],
  ['gruu', /(sips?:tgruu\.)([^@]+)/g],
  ['uuid', /(urn:uuid:)([0-9a-f-]{36})/gi],
  ['group', /(sip:gs-)([0-9a-f]+)/g],
  ['boundary', /(boundary="?)([\w.-]+)/g],
  ['boundary', /(^--)([\w.]{16,}?)(?=(?:--)?\r?$)/gm],
  ['icid', /(icid-value="?)([^;"\s]+)/g],
  ['contact', /(<contact id=")([^"]+)/g],
  ['registration', /( id=")([^"]+)(?=" state)/g],
  ['id', /((?:Conversation|Contribution|InReplyTo-Contribution|Session-Replaces)-ID:\s*)(\S+)/gi],
  ['id', /(Message-ID:\s*)(\S+)/gi],
  ['session', /(<SessionID>|^HELO )([^<\s]+)/gm],
  ['nonce', /(<Nonce>)([^<]+)/g],
  ['digest', /(<DigestBytes>)([^<]+)/g],
  ['poll', /(\?pc=)(\w+)/g],
  ['port', /(<(?:TCPPort|UDPPort)>)(\d+)/g],
  // message identifiers of Parley, and its Transaction-IDs, which are the same where a message is pushed
  ['message', /(<(?:MessageID|TransactionID)>)([a-z0-9]{17})(?=<)/g],
  ['transaction', /(^MSRP )(\S+)(?= (?:SEND|REPORT|\d{3})\b)/gm],
  ['transaction', /(^-{7})([\w.+%=-]+?)(?=[$+#]\r?$)/gm],
  ['msrp', /((?:To|From)-Path: msrps?:\/\/[^/\s]+\/)([\w-]{22})/g],
  ['msrp', /(a=path:msrps?:\/\/[^/\s]+\/)([\w-]{22})/g],
  ['sdp', /(^o=- )(\d{9,})/gm],
  ['id', /(<message-id>)([0-9a-f-]{36})(?=<)/g],
  ['time', /((?:DateTime|Date):\s*)([^\r\n]+)/gi],
];
