import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** Stands between a client and a server on loopback, and makes the way bad. */
export class TcpProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #target: number;
  /** Milliseconds that each octet takes in each direction. */
  delayMs = 0;
  /** Connections that came. */
  connections = 0;

  /** @param target the port to which connections go. */
  static async start(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer((client) => this.#serve(client));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Sends new connections elsewhere. */
  lead(port: number): void {
    this.#target = port;
  }

  /** The same, and ends those that are. */
  retarget(port: number): void {
    this.lead(port);
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, 'close');
  }

  #serve(client: Socket): void {
    this.connections++;
    const server = connect(this.#target, '127.0.0.1');
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from);
      from.on('data', (chunk: Buffer) => {
        const pass = (): unknown => to.writable && to.write(chunk);
        // real time: a slow network is what this is
        if (this.delayMs > 0) setTimeout(pass, this.delayMs);
        else pass();
      });
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      // what happens to one side, the other side sees as the end of the connection
      from.on('error', () => to.destroy());
    }
  }
}
