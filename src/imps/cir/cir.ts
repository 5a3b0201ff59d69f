import { splitEndpoint } from '../../base/endpoint.js';
import { numberOfUser } from '../access/telephone.js';
import type { ImpsContext } from '../context.js';
import type { SessionRecord } from '../state/records.js';
import { TcpChannels } from './tcp.js';
import { UdpChannels } from './udp.js';

/** A CIR that went without a poll is sent again when more comes after so long. */
const AGAIN_MS = 30_000;
/** A client that polled within so many of its intervals, and at least so long ago, comes by itself. */
const POLLING = 3;
const POLLING_MS = 30_000;
/** Share of the agreed interval before which a poll is too early; clocks of phones differ. */
const TOLERANCE = 0.9;
/** After a start, clients with a connection have this time to open it again before what waits is told by other means. */
const RETURN_MS = 60_000;
/** Channel on which every node hears that a client that may have been told has come. */
const CAME = 'imps-client-came';
/** Ports that are tried where any will do. */
const LISTEN_ATTEMPTS = 5;

/** That a session is being told. */
interface Turn {
  /** What came to wait meanwhile, and whether it did at this node: it is looked at once more, when this is done. */
  more: { readonly own: boolean } | undefined;
  /** Its client came meanwhile, and finds by itself what waited until then. */
  came: boolean;
}

/**
 * The CIR channel (document 002 §8): tells clients to come and poll, by the first method that works, in the
 * order in which the client listed them.
 * A session that was told is not told again until it has come, so one that gets many requests at once gets one CIR.
 * It may come to another node than has its channel: the node that it comes to says so.
 */
export class Cir {
  readonly #context: ImpsContext;
  readonly #tcp: TcpChannels;
  readonly #udp: UdpChannels;
  readonly #told = new Map<string, number>();
  readonly #telling = new Map<string, Turn>();
  /** Sessions in which something came to wait since their client came: some node may have told them. */
  readonly #awaited = new Set<string>();
  readonly #polledAt = new Map<string, number>();
  #subscriptions: (() => void)[] = [];
  #closed = false;

  constructor(context: ImpsContext) {
    this.#context = context;
    this.#tcp = new TcpChannels(context, this.greeted);
    this.#udp = new UdpChannels(context, this.greeted);
  }

  async start(): Promise<void> {
    const { config, endpoints, ports } = this.#context;
    const [host, port] = splitEndpoint(config.cirListen);
    const bound = await this.#listen(host, port);
    const [publicHost, publicPort] =
      config.publicCir === undefined ? [host, bound] : splitEndpoint(config.publicCir);
    endpoints.cirHost = publicHost;
    endpoints.cirPort = publicPort;
    const polled = endpoints.cirHttp === undefined ? [] : ['SHTTP'];
    endpoints.cirMethods = ['STCP', 'SUDP', ...polled, ...ports.pagers.flatMap(({ methods }) => methods)];
    endpoints.cirWorks = (session) => (this.#tcp.lost(session.id) ? false : undefined);
    endpoints.clientCame = (session) => this.#comes(session);
    this.#subscriptions = [
      this.#context.outbox.onWaiting(
        (session, own) => this.#logged(this.#tell(session, own)),
        () => this.#logged(this.#lookAgain()),
      ),
      this.#context.store.subscribe(CAME, (session) => this.#came(session)),
      this.#context.sessions.onEnded((session) => this.#ended(session)),
    ];
    const afterStart = this.#context.clock.after(RETURN_MS, () => this.#logged(this.#tellAll(true)));
    this.#subscriptions.push(() => afterStart.cancel());
  }

  /** Events were missed: sessions may have ended, clients may have come, and something may have come to wait. */
  async #lookAgain(): Promise<void> {
    this.#told.clear();
    for (const id of new Set([...this.#tcp.sessions, ...this.#udp.sessions, ...this.#awaited]))
      if (!(await this.#context.sessions.find(id))) this.#ended(id);
    await this.#tellAll(false);
  }

  /** Tells the clients for which something waits and which were not told: who told them may have been killed, or not have heard of it. */
  async #tellAll(own: boolean): Promise<void> {
    for await (const session of this.#context.outbox.sessions()) {
      if (this.#closed) return;
      if (!this.#told.has(session)) await this.#tell(session, own);
    }
  }

  #logged(work: Promise<unknown>): void {
    work.catch((error: unknown) => this.#context.log.error({ err: error }, 'a CIR could not be sent'));
  }

  /** One port for both; where any will do, TCP may be given one that another program has for UDP. */
  async #listen(host: string, port: number): Promise<number> {
    for (let attempt = 1; ; attempt++) {
      const bound = await this.#tcp.listen(host, port);
      try {
        await this.#udp.listen(host, bound);
        return bound;
      } catch (error) {
        if (port !== 0 || attempt === LISTEN_ATTEMPTS) throw error;
        await Promise.all([this.#tcp.close(), this.#udp.close()]);
      }
    }
  }

  get connections(): { readonly tcp: number; readonly udp: number } {
    return { tcp: this.#tcp.size, udp: this.#udp.size };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const end of this.#subscriptions) end();
    await Promise.all([this.#tcp.close(), this.#udp.close()]);
  }

  /** Answers a poll over HTTP; it takes nothing away, only a Polling-Request does (document 002 §8.1.5). */
  async poll(cookie: string): Promise<200 | 204 | 404 | 429> {
    const session = await this.#context.sessions.findByPollCookie(cookie);
    if (!session) return 404;
    const now = this.#context.clock.now();
    const interval = (session.capabilities?.serverPollMin ?? 0) * 1000 * TOLERANCE;
    if (now - (this.#polledAt.get(session.id) ?? -Infinity) < interval) return 429;
    this.#polledAt.set(session.id, now);
    return (await this.#anythingFor(session)) ? 200 : 204;
  }

  /** Whether the client polls over HTTP, and so finds by itself what waits. */
  #polls({ id, capabilities }: SessionRecord): boolean {
    const at = this.#polledAt.get(id);
    const interval = (capabilities?.serverPollMin ?? 0) * 1000;
    return at !== undefined && this.#context.clock.now() - at <= Math.max(POLLING_MS, POLLING * interval);
  }

  async #anythingFor(session: SessionRecord): Promise<boolean> {
    if (session.backlog !== undefined) return true;
    return (await this.#context.outbox.ready(session.id, 1)).length > 0;
  }

  /** A client opened its channel: what came to wait before it did is told now, and every node knows that it may be. */
  readonly greeted = (session: SessionRecord): void => {
    this.#told.delete(session.id);
    this.#logged(
      this.#anythingFor(session).then((anything) =>
        anything ? this.#context.outbox.announce(session.id) : undefined,
      ),
    );
  };

  /** A client comes to this node, before it is told what waits: whatever comes to wait later needs another CIR. */
  #comes({ id, capabilities }: SessionRecord): Promise<void> | undefined {
    if (!this.#awaited.delete(id) || !capabilities?.cirMethods.length) return undefined;
    return this.#context.store.publish(CAME, id);
  }

  #came(id: string): void {
    this.#awaited.delete(id);
    this.#told.delete(id);
    const turn = this.#telling.get(id);
    if (!turn) return;
    turn.more = undefined;
    turn.came = true;
  }

  /** One at a time for a session, so that all that comes to wait at once is told by one CIR. */
  async #tell(id: string, own: boolean): Promise<void> {
    this.#awaited.add(id);
    const running = this.#telling.get(id);
    if (running) {
      running.more = { own: own || (running.more?.own ?? false) };
      return;
    }
    const turn: Turn = { more: { own }, came: false };
    this.#telling.set(id, turn);
    try {
      while (turn.more) {
        const more = turn.more;
        turn.more = undefined;
        turn.came = false;
        await this.#tellUnlessTold(id, more.own, turn);
      }
    } finally {
      this.#telling.delete(id);
    }
  }

  async #tellUnlessTold(id: string, own: boolean, turn: Turn): Promise<void> {
    const session = await this.#context.sessions.find(id);
    if (!session?.capabilities?.cirMethods.length) {
      this.#awaited.delete(id);
      return;
    }
    if (turn.came) return;
    const now = this.#context.clock.now();
    const told = this.#told.get(id);
    const seenAt = this.#context.sessions.seenAt(session);
    if (told !== undefined && told >= seenAt && now - told < AGAIN_MS) return;
    this.#told.set(id, now);
    const text = `WVCI ${session.version} ${session.cookie}`;
    for (const method of session.capabilities.cirMethods) {
      if (await this.#by(method, session, text, own)) return this.#note(session, method);
    }
    this.#told.delete(id);
  }

  /** @returns whether the method took the text */
  async #by(method: string, session: SessionRecord, text: string, own: boolean): Promise<boolean> {
    if (method === 'STCP') return this.#tcp.send(session.id, text);
    if (method === 'SUDP') return this.#udp.send(session, text, own);
    if (method === 'SHTTP') return this.#polls(session);
    const pager = own
      ? this.#context.ports.pagers.find(({ methods }) => methods.includes(method))
      : undefined;
    if (!pager) return false;
    const msisdn = session.msisdn ?? (await numberOfUser(this.#context, session.user));
    return pager.page(method, { msisdn, ip: session.remoteAddress }, text);
  }

  #note(session: SessionRecord, method: string): void {
    this.#context.trail.record({
      code: 'imps.cir-sent',
      outcome: 'noted',
      clause: 'document 002 §8',
      subject: session.user,
      trace: session.id,
      detail: method,
    });
  }

  #ended(id: string): void {
    this.#told.delete(id);
    this.#awaited.delete(id);
    this.#polledAt.delete(id);
    this.#tcp.end(id);
    this.#udp.end(id);
  }
}
