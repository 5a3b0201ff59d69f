import { clearLine, createInterface, cursorTo, type Interface } from 'node:readline';
import { Writable } from 'node:stream';

/**
 * Standard input, line by line. Piped in, lines just come; at a terminal there is a prompt, what is printed meanwhile
 * stands above it, a password is not shown, and Ctrl-C ends the input as Ctrl-D does.
 */
export class Terminal implements AsyncIterable<string> {
  readonly interactive: boolean;
  readonly #interface: Interface;
  readonly #lines: AsyncIterator<string>;
  readonly #output: NodeJS.WritableStream;
  #hidden = false;
  #prompting = false;

  constructor(input: NodeJS.ReadableStream, output: NodeJS.WritableStream) {
    this.interactive = 'isTTY' in input && input.isTTY === true;
    this.#output = output;
    const shown = new Writable({
      write: (chunk: Uint8Array, _encoding, done) => {
        if (!this.#hidden) output.write(chunk);
        done();
      },
    });
    this.#interface = createInterface({
      input,
      ...(this.interactive ? { output: shown, terminal: true, prompt: '> ' } : {}),
    });
    this.#lines = this.#interface[Symbol.asyncIterator]();
    this.#interface.on('SIGINT', () => this.close());
  }

  /** A line that is not shown as it is typed; empty at the end of the input. */
  async password(): Promise<string> {
    if (this.interactive) this.#output.write('Password: ');
    this.#hidden = true;
    const { value } = (await this.#lines.next()) as { value?: string };
    this.#hidden = false;
    if (this.interactive) this.#output.write('\n');
    return value ?? '';
  }

  /** Prints a line above the prompt and what is typed at it. */
  print(line: string): void {
    if (!this.#prompting) return void this.#output.write(`${line}\n`);
    clearLine(this.#output, 0);
    cursorTo(this.#output, 0);
    this.#output.write(`${line}\n`);
    this.#interface.prompt(true);
  }

  /** No further line comes. */
  close(): void {
    this.#interface.close();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<string> {
    for (;;) {
      if (this.interactive) this.#interface.prompt();
      this.#prompting = this.interactive;
      const next = await this.#lines.next();
      this.#prompting = false;
      if (next.done === true) return;
      yield next.value;
    }
  }
}
