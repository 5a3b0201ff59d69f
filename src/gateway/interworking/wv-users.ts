import { ParleyError } from '../../base/errors.js';
import type {
  InProcessFunction,
  InterworkedInvitation,
  InterworkedMessage,
} from '../../cpm/interworking/function.js';
import type { SessionCase } from '../../core/service.js';
import type { Aor } from '../../identity/aor.js';
import { parseUserId, type ImpsServer, type UserId } from '../../imps/index.js';
import type { SipRequest } from '../../sip/message/message.js';
import type { SipStack } from '../../sip/stack.js';
import type { AddressMap } from '../addresses/address-map.js';
import '../errors.js';
import { originKey } from '../messages/identifiers.js';
import { readIncoming, requestKey } from '../messages/incoming.js';
import type { ToPhone } from '../messages/to-phone.js';
import { sipStatus } from '../status-map.js';
import type { LoopGuard } from './loop-guard.js';

export interface WvUsersOptions {
  readonly stack: SipStack;
  readonly addresses: AddressMap;
  readonly toPhone: ToPhone;
  readonly guard: LoopGuard;
  readonly imps: () => ImpsServer;
  /** Domain of the IMPS users. */
  readonly home: string;
  setOf(aor: string): Promise<string | undefined>;
  /** Route values of a request for a user. */
  originating(user: { servedUser: string; set: string }): readonly string[];
  /** Route values to the services of a user from their start. */
  entrance(sessionCase: SessionCase, user: { servedUser: string; set: string }): readonly string[];
}

/** A user of CPM: here when there is a set, else of another domain. */
interface CpmUser {
  readonly kind: 'cpm';
  readonly aor: Aor;
  readonly set: string | undefined;
}

/** Where a `wv:` address leads: to a user of CPM, or of the IMPS server alone. */
type Target = CpmUser | { readonly kind: 'imps'; readonly user: UserId };

/** Header fields of a message that go over into the request to the user's other address. */
const kept = [
  'From', 'P-Asserted-Identity', 'Privacy', 'P-Asserted-Service', 'Accept-Contact', 'Conversation-ID', 'Contribution-ID',
  'InReplyTo-Contribution-ID', 'Subject', 'Date', 'Expires', 'Content-Type', 'Content-Disposition', 'User-Agent',
] as const; // prettier-ignore

/**
 * The interworking function of `wv:` addresses (document 003 §5.1.1.2): users of CPM by their other address, users of the IMPS server
 * alone by their phones. Addresses of other domains have a way only when it is laid down.
 */
export class WvUsers implements InProcessFunction {
  readonly #options: WvUsersOptions;

  constructor(options: WvUsersOptions) {
    this.#options = options;
  }

  async knows(address: string): Promise<boolean> {
    return (await this.#target(address)) !== undefined;
  }

  /** @throws ParleyError `gateway-content`, `gateway-charset`, `gateway-report-forged`, `cpim-malformed`, `gateway-hops`, `gateway-loop` */
  async message(message: InterworkedMessage): Promise<number> {
    const { request, sender, recipient, contentType, body, contributionId } = message;
    const target = await this.#known(recipient);
    const incoming = readIncoming(contentType, body, requestKey(request));
    if (target.kind === 'imps') {
      const { toPhone } = this.#options;
      const control = await toPhone.control(incoming, target.user, () => toPhone.tellers(request));
      return control ?? sipStatus(await toPhone.toUser(request, incoming, target.user));
    }
    const name =
      incoming.asked?.messageId ??
      originKey(contributionId ?? request.callId, Buffer.from(body).toString('latin1'));
    const hops = this.#options.guard.pass(request, name, target.aor);
    return this.#onward(request, sender, target, hops);
  }

  /** Sessions of IMPS users need a registered device. @throws ParleyError `gateway-session-refused` */
  async invitation({ request, response, recipient, sender, shown }: InterworkedInvitation): Promise<void> {
    const target = await this.#known(recipient);
    if (target.kind === 'imps') throw new ParleyError('gateway-session-refused');
    const route = await this.#route(target, sender);
    await this.#options.stack.proxyRequest(request, response, {
      groups: [[{ uri: target.aor, route }]],
      recordRoute: true,
      onResponse: shown,
    });
  }

  async #onward(request: SipRequest, sender: string, target: CpmUser, hops: number): Promise<number> {
    const headers = Object.fromEntries(kept.map((name) => [name, request.headers.lines(name)]));
    const { status } = await this.#options.stack.request(target.aor, {
      method: 'MESSAGE',
      headers: {
        ...headers,
        From: `<${request.from.uriText}>`,
        To: `<${target.aor}>`,
        'Max-Forwards': hops,
      },
      body: request.body,
      route: await this.#route(target, sender),
    });
    return status;
  }

  /** To the services of a user here; else out of the domain, past what keeps its secrets. */
  async #route({ aor, set }: CpmUser, sender: string): Promise<readonly string[]> {
    const options = this.#options;
    if (set !== undefined) return options.entrance('terminating-registered', { servedUser: aor, set });
    return options.originating({ servedUser: sender, set: (await options.setOf(sender)) ?? sender });
  }

  async #known(address: string): Promise<Target> {
    const target = await this.#target(address);
    if (!target) throw new ParleyError('gateway-address-unknown');
    return target;
  }

  async #target(address: string): Promise<Target | undefined> {
    const { addresses, imps, home } = this.#options;
    const user = parseUserId(address, home);
    if (user === undefined) return undefined;
    const aor = await addresses.toAor(user);
    const set = aor && (await this.#options.setOf(aor));
    if (aor !== undefined && set !== undefined) return { kind: 'cpm', aor, set };
    if (await imps().users.find(user)) return { kind: 'imps', user };
    const pair = await addresses.pairOf(user);
    return pair?.source === 'provisioned' ? { kind: 'cpm', aor: pair.aor as Aor, set } : undefined;
  }
}
