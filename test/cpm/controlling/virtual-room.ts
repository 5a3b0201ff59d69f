import { VirtualClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { MemoryTrail } from '../../../src/base/trail.js';
import type { ServiceCall } from '../../../src/core/service.js';
import { ControllingFunction } from '../../../src/cpm/controlling/controlling.js';
import { EarlyDialogs } from '../../../src/cpm/controlling/early-dialogs.js';
import type { Focus } from '../../../src/cpm/controlling/focus.js';
import type { Group } from '../../../src/cpm/controlling/group.js';
import { GroupAddresses } from '../../../src/cpm/controlling/group-addresses.js';
import { Groups } from '../../../src/cpm/controlling/groups.js';
import type { GroupMessage, MediaListener, MediaSession } from '../../../src/cpm/controlling/media.js';
import { Receipts } from '../../../src/cpm/controlling/receipts.js';
import { formatCpim } from '../../../src/msrp/cpim/index.js';
import type { HeaderMap } from '../../../src/sip/message/headers.js';
import type { SipRequest } from '../../../src/sip/message/message.js';
import type { Dialog, SipStack } from '../../../src/sip/stack.js';
import { SubscriptionKeeper } from '../../../src/subscriptions/subscription-keeper.js';
import { MemoryStore } from '../../tools/memory-store.js';
import { VirtualNetwork } from '../../tools/virtual-network.js';

const SERVER = 'ims.test';
export const FACTORY = `sip:conference-factory@${SERVER}`;
const SDP = { 'Content-Type': 'application/sdp' };

/** The media of one session: the name in its description tells whose. */
class RoomMedia implements MediaSession {
  readonly description = 'v=0 focus';
  readonly connected = true;
  readonly privateMessages = true;
  readonly got: GroupMessage[] = [];
  whose = '';
  closed = false;
  listener: MediaListener | undefined;
  offer(): void {}
  accept(answer: Uint8Array): void {
    this.answer(answer);
  }
  answer(description: Uint8Array): void {
    this.whose = /^v=0 (\S+)/m.exec(Buffer.from(description).toString())?.[1] ?? '';
  }
  accepts(): boolean {
    return true;
  }
  send(message: GroupMessage): Promise<number> {
    this.got.push(message);
    return Promise.resolve(200);
  }
  listen(listener: MediaListener): void {
    this.listener = listener;
  }
  onConnected(): void {}
  close(): void {
    this.closed = true;
  }
}

/** A user at a host of its own, who answers as it is told. */
export class VirtualUser {
  readonly name: string;
  readonly stack: SipStack;
  readonly dialogs: Dialog[] = [];
  readonly requests: SipRequest[] = [];
  /** Accepts the invitation that rings. */
  accept = (): void => {};
  /** `accept`, `ring` for ever, or the status of a refusal. */
  answers: 'accept' | 'ring' | number = 'accept';
  /** Nothing reaches it and nothing leaves it. */
  dead = false;
  /** Why invitations that rang were taken back. */
  readonly cancels: string[] = [];
  /** Why its sessions ended. */
  readonly ends: string[] = [];

  constructor(name: string, stack: SipStack) {
    this.name = name;
    this.stack = stack;
    stack.on('*', async (request, response) => {
      this.requests.push(request);
      request.onCancel((cancel) => this.cancels.push(cancel.get('Reason') ?? ''));
      const accept = async (): Promise<void> => {
        this.adopt(await stack.createUAS(request, response, { headers: SDP, body: `v=0 ${name}` }));
      };
      if (request.method !== 'INVITE') response.send(200);
      else if (this.answers === 'accept') await accept();
      else response.send(this.answers === 'ring' ? 180 : this.answers);
      if (this.answers === 'ring') this.accept = () => void accept();
    });
  }

  get uri(): string {
    return `sip:${this.name}@${this.name}.test`;
  }

  /** Bodies of the NOTIFYs that it got. */
  get documents(): string[] {
    return this.requests
      .filter(({ method }) => method === 'NOTIFY')
      .map(({ body }) => Buffer.from(body).toString());
  }

  adopt(dialog: Dialog): Dialog {
    this.dialogs.push(dialog);
    dialog.onRequest((request, response) => {
      this.requests.push(request);
      response.send(200, request.body.length > 0 ? { headers: SDP, body: `v=0 ${this.name}` } : undefined);
    });
    dialog.onEnd((cause) =>
      this.ends.push(typeof cause === 'string' ? cause : (cause.get('Reason') ?? 'BYE')),
    );
    return dialog;
  }

  /** @param onStarted gets what cancels it. */
  async invite(
    uri: string,
    headers: HeaderMap,
    body: string,
    onStarted: (cancel: () => void) => void = () => {},
  ): Promise<Dialog> {
    return this.adopt(
      await this.stack.createUAC(uri, {
        method: 'INVITE',
        headers: this.#identified(headers),
        body,
        onStarted,
      }),
    );
  }

  /** Creates a group, or starts it again. @param list the entries. */
  create(list: string, headers: HeaderMap = {}, onStarted?: (cancel: () => void) => void): Promise<Dialog> {
    const xml =
      '<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists" xmlns:cp="urn:ietf:params:xml:ns:copycontrol">' +
      `<list>${list}</list></resource-lists>`;
    const body =
      `--b\r\nContent-Type: application/sdp\r\n\r\nv=0 ${this.name}\r\n` +
      `--b\r\nContent-Type: application/resource-lists+xml\r\nContent-Disposition: recipient-list\r\n\r\n${xml}\r\n--b--\r\n`;
    const type = { 'Content-Type': 'multipart/mixed;boundary=b', 'Contribution-ID': 'g77' };
    return this.invite(FACTORY, { ...type, ...headers }, body, onStarted);
  }

  join(uri: string): Promise<Dialog> {
    return this.invite(uri, SDP, `v=0 ${this.name}`);
  }

  /** Asks the focus to invite somebody, without being told how it ends. */
  refer(uri: string, whom: VirtualUser): Promise<unknown> {
    const headers = this.#identified({ 'Refer-To': `<${whom.uri}>`, 'Refer-Sub': 'false' });
    return this.stack.request(uri, { method: 'REFER', headers });
  }

  async subscribe(uri: string, expires = 3600): Promise<Dialog> {
    const headers = this.#identified({ Event: 'conference', Expires: expires });
    return this.adopt(await this.stack.createUAC(uri, { method: 'SUBSCRIBE', headers }));
  }

  #identified(headers: HeaderMap): HeaderMap {
    return { From: `<${this.uri}>`, 'P-Asserted-Identity': `<${this.uri}>`, ...headers };
  }
}

/** A controlling function on the real stack in virtual time; between it and its users there is no core. */
export class VirtualRoom {
  readonly clock = new VirtualClock();
  readonly store = new MemoryStore();
  readonly trail = new MemoryTrail(() => this.clock.now());
  readonly sessions: RoomMedia[] = [];
  /** Further identities of users, with the one that their registration set is known by. */
  readonly owners = new Map<string, string>();
  readonly users = new Map<string, VirtualUser>();
  readonly network = new VirtualNetwork(this.clock, (from, to) =>
    [...this.users.values()].some(({ name, dead }) => dead && [from, to].includes(`${name}.test`)),
  );
  readonly #groups = new Groups(this.store, this.clock, {
    ...{ holder: 'here', isAlive: () => false, keepMs: 7 * 86_400_000 },
  });
  controlling!: ControllingFunction;
  keeper!: SubscriptionKeeper;

  static async open(
    settings: {
      inactivity?: number;
      minimum?: number;
      maximum?: number;
      newPerMinute?: number;
      interval?: number;
      openTo?: 'domain' | 'anybody';
    } = {},
  ): Promise<VirtualRoom> {
    const room = new VirtualRoom();
    const { clock, store, trail, sessions } = room;
    const stack = await room.network.host(SERVER);
    const session = (): RoomMedia => {
      const media = new RoomMedia();
      sessions.push(media);
      return media;
    };
    room.keeper = new SubscriptionKeeper({
      ...{ stack, store, clock, log: silentLogger },
      event: 'conference',
      node: 'here',
      isAlive: () => false,
    });
    room.controlling = new ControllingFunction({
      stack,
      clock,
      store,
      trail,
      keeper: room.keeper,
      earlyDialogs: new EarlyDialogs({
        ...{ stack, store, log: silentLogger },
        holder: 'here',
        isAlive: () => false,
      }),
      log: silentLogger,
      groups: room.#groups,
      media: {
        offer: session,
        answer: (offer) => {
          const media = session();
          media.answer(offer);
          return media;
        },
      },
      keepMs: 86_400_000,
      perMember: 100,
      receipts: new Receipts({ clock, mode: 'each', displayed: false, gatherMs: 2_000 }),
      ownerOf: (identity) => Promise.resolve(room.owners.get(identity) ?? identity),
      sessions: { of: async function* () {} },
      addresses: new GroupAddresses(FACTORY, SERVER),
      maximum: settings.maximum ?? 10,
      minimum: settings.minimum ?? 1,
      newPerMinute: settings.newPerMinute ?? 60,
      openTo: settings.openTo ?? 'domain',
      isOwn: (identity) => Promise.resolve((room.owners.get(identity) ?? identity).endsWith(`@${SERVER}`)),
      ringing: 180_000,
      inactivity: (settings.inactivity ?? 900) * 1000,
      sessionExpires: 1_800,
      notifyInterval: (settings.interval ?? 1) * 1000,
      route: () => [],
      forward: () => Promise.resolve(false),
    });
    stack.on('*', (request, response) =>
      room.controlling.handle({ request, response } as unknown as ServiceCall),
    );
    return room;
  }

  async user(name: string): Promise<VirtualUser> {
    const user = new VirtualUser(name, await this.network.host(`${name}.test`));
    this.users.set(name, user);
    return user;
  }

  /** A group that the operator has made, with nobody in it. */
  async openGroup(): Promise<Group> {
    const group: Group = {
      ...{ id: 'gs-open', uri: `sip:gs-open@${SERVER}`, kind: 'long-lived', access: 'open' },
      ...{ contributionId: 'c-open', conversationId: 'k-open', creator: `sip:dave@${SERVER}` },
      ...{ maximum: 10, minimum: 1, members: [], createdAt: this.clock.now() },
    };
    await this.#groups.add(group);
    return group;
  }

  /** Runs something until it settles, in virtual time. @param ms how long it may take. */
  async during<T>(work: Promise<T>, ms = 1_000): Promise<T> {
    let open = true;
    const settled = work.finally(() => (open = false));
    settled.catch(() => undefined);
    for (let past = 0; open && past < ms; past += 20) await this.clock.advanceAsync(20);
    if (open) throw new Error('it does not come to an end');
    return settled;
  }

  /** The only group that runs. */
  get focus(): Focus {
    const [focus] = this.controlling.running;
    if (!focus) throw new Error('no group runs');
    return focus;
  }

  /** A message of a member to all. @returns the status of the answer. */
  async say(from: VirtualUser, text: string): Promise<number> {
    const octets = formatCpim({
      from: { name: '', uri: from.uri },
      to: [{ name: '', uri: 'sip:anonymous@anonymous.invalid' }],
      mime: [['Content-Type', 'text/plain']],
      content: Buffer.from(text),
    });
    const media = this.sessions.findLast(({ whose, listener }) => whose === from.name && listener);
    return this.during(media!.listener!.message({ contentType: 'message/cpim', octets }));
  }
}

export const entry = ({ uri }: VirtualUser): string => `<entry uri="${uri}" cp:copyControl="to"/>`;
