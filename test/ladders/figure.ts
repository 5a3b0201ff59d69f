import { Ladder } from '../tools/ladder.js';
import type { Phone } from '../tools/phone.js';

/** One message of a figure: who sends it, to whom, how its text begins, and the method in its CSeq. */
export type Step = readonly [from: string, to: string, text: RegExp, cseq: string];

/** Draws the messages of a run in the order of a figure: several of them are under way at once. */
export class Figure {
  readonly #ladder: Ladder;
  readonly #seen: { readonly from: string; readonly to: string; readonly text: string; drawn: boolean }[] =
    [];

  /** @param columns the devices from left to right; the server stands behind the first. */
  constructor(title: string, about: string, server: number, columns: Readonly<Record<string, Phone>>) {
    this.#ladder = new Ladder(title, about);
    for (const [i, [name, { peer }]] of Object.entries(columns).entries()) {
      this.#ladder.column(name, peer);
      if (i === 0) this.#ladder.server('parley', server);
      peer.tap((direction, _port, octets) => {
        const [from, to] = direction === 'in' ? ['parley', name] : [name, 'parley'];
        this.#seen.push({ from, to, text: Buffer.from(octets).toString(), drawn: false });
      });
    }
  }

  /** What that device has got since. */
  at(name: string): readonly string[] {
    return this.#seen.filter(({ to }) => to === name).map(({ text }) => text);
  }

  /** The page; a step that did not happen is drawn as `missing`. */
  draw(steps: readonly Step[]): string {
    for (const [from, to, start, method] of steps) {
      const found = this.#seen.find(
        (one) =>
          !one.drawn &&
          one.from === from &&
          one.to === to &&
          start.test(one.text) &&
          new RegExp(`^CSeq: \\d+ ${method}\\r?$`, 'm').test(one.text),
      );
      if (found) found.drawn = true;
      this.#ladder.message(from, to, steady(found?.text ?? 'missing'));
    }
    return this.#ladder.markdown();
  }
}

/** Without what the server has anew in each run. */
const steady = (text: string): string =>
  text
    .replace(/^(Content-Length: )[1-9]\d*/m, '$1(octets)')
    .replace(/^(o=- )\d{6,}/gm, '$1(session)')
    .replace(/^(m=message )\d{4,}/gm, '$1(port)')
    .replace(/msrp:\/\/127\.0\.0\.1:\d{4,}\/[^\s;]+/g, 'msrp://parley.test/(session)')
    .replace(/^(CSeq: )\d+(?= NOTIFY)/m, '$1(number)')
    .replace(/(<endpoint entity=")e-[^"]+/g, '$1(endpoint)');
