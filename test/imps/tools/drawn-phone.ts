import { readMessage } from '../../../src/imps/codec/coding.js';
import { child, textOf, type Element } from '../../../src/imps/codec/element.js';
import type { Transaction } from '../../../src/imps/codec/envelope.js';
import type { Ladder } from '../../tools/ladder.js';
import { CirLine } from './cir-line.js';
import { Phone, type PhoneOptions } from './phone.js';

/** A phone whose traffic with the server is drawn into a ladder, XML indented. */
export class DrawnPhone extends Phone {
  readonly #ladder: Ladder;
  readonly #name: string;
  /** Whether answers without content are drawn; what else they cause comes before or after them. */
  drawsEmpty = true;
  /** Whether answers that are a Status alone are drawn; what their request causes elsewhere comes before or after them. */
  drawsStatus = true;

  constructor(ladder: Ladder, name: string, options: PhoneOptions) {
    super(options);
    this.#ladder = ladder;
    this.#name = name;
  }

  override async postBytes(
    body: Buffer,
    contentType: string,
  ): Promise<{ readonly status: number; readonly bytes: Buffer; readonly contentType: string }> {
    this.#ladder.message(this.#name, 'parley', drawn(body, contentType));
    const answer = await super.postBytes(body, contentType);
    const text = answer.bytes.length === 0 ? 'HTTP 200, empty' : drawn(answer.bytes, answer.contentType);
    const isDrawn =
      answer.bytes.length > 0 ? this.drawsStatus || !text.startsWith('Status ') : this.drawsEmpty;
    if (isDrawn) this.#ladder.message('parley', this.#name, text);
    return answer;
  }

  /** A CIR channel over TCP: what goes over it is drawn as it is waited for. */
  cirLine(port: number): { say(line: string): void; hear(count: number): Promise<void>; close(): void } {
    const line = new CirLine(port);
    let heard = 0;
    return {
      say: (text) => {
        this.#ladder.message(this.#name, 'parley', text);
        line.socket.write(`${text}\r\n`);
      },
      hear: async (count) => {
        for (const text of (await line.until(heard + count)).slice(heard, heard + count))
          this.#ladder.message('parley', this.#name, text);
        heard += count;
      },
      close: () => line.socket.destroy(),
    };
  }

  async cirPoll(url: string): Promise<void> {
    this.#ladder.message(this.#name, 'parley', `GET ${url}`);
    const { status } = await fetch(url);
    this.#ladder.message('parley', this.#name, `HTTP ${status}`);
  }
}

/** A line that names the primitives, and the document under it. */
function drawn(bytes: Buffer, contentType: string): string {
  const { message } = readMessage(bytes, contentType);
  return `${message.transactions.map(caption).join(', ')}\n\n${indented(bytes.toString())}`;
}

function caption({ primitive }: Transaction): string {
  const code = textOf(child(primitive, 'Result'), 'Code');
  return `${primitive?.name ?? 'nothing'}${code === undefined ? '' : ` ${code}`}`;
}

/** An element a line, those with text and those of one empty element whole. */
function indented(xml: string): string {
  let depth = 0;
  const lines: string[] = [];
  for (const [piece] of xml.matchAll(/<\?[^>]*>|<[^/][^>]*\/>|<\/[^>]+>|<[^>]+>[^<]+<\/[^>]+>|<[^>]+>/g)) {
    if (piece.startsWith('</')) depth--;
    lines.push('  '.repeat(depth) + piece);
    const opens = /^<[^/?]/.test(piece) && !piece.endsWith('/>') && !piece.includes('</');
    if (opens) depth++;
  }
  return lines.join('\n');
}

/** URL of CIR polls in an agreed list. */
export const cirUrl = (agreed: Element): string =>
  textOf(child(child(agreed, 'AgreedCapabilityList'), 'CIRHTTPAddress'), 'URL') ?? '';
