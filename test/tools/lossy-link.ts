import { createSocket, type Socket } from 'node:dgram';

/** Decides on a datagram: true lets it through. `count` is how many went that way before it. */
export type Rule = (octets: Buffer, count: number) => boolean;

/**
 * Two UDP ports of loopback that hand datagrams on between two peers, or drop them by rule. A peer writes to its own port of
 * the link and gets what the other one sends from there.
 */
export class LossyLink {
  readonly #left: Socket;
  readonly #right: Socket;
  /** What was dropped: first lines. */
  readonly dropped: string[] = [];

  private constructor(left: Socket, right: Socket) {
    this.#left = left;
    this.#right = right;
  }

  /** @param left the port of the one peer, which sees the other one at {@link LossyLink.rightAsSeen}. */
  static async open(left: number, right: number, rule: Rule): Promise<LossyLink> {
    const [a, b] = [createSocket('udp4'), createSocket('udp4')];
    for (const socket of [a, b]) await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    const link = new LossyLink(a, b);
    link.#carry(a, b, right, rule);
    link.#carry(b, a, left, rule);
    return link;
  }

  /** Port at which the left peer reaches the right one. */
  get rightAsSeen(): number {
    return this.#left.address().port;
  }

  /** Port at which the right peer reaches the left one. */
  get leftAsSeen(): number {
    return this.#right.address().port;
  }

  close(): void {
    this.#left.close();
    this.#right.close();
  }

  #carry(from: Socket, out: Socket, to: number, rule: Rule): void {
    let count = 0;
    from.on('message', (octets) => {
      if (rule(octets, count++)) out.send(octets, to, '127.0.0.1');
      else this.dropped.push(octets.toString('latin1').split('\r\n')[0] ?? '');
    });
  }
}
