import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { cpmServices } from '../../src/identity/cpm-services.js';
import { formatCpim, parseCpim } from '../../src/msrp/cpim/index.js';
import { formatImdn, IMDN_TYPE, parseImdn } from '../../src/msrp/imdn.js';
import { MsrpNegotiation, streamedMessages, type MsrpEndpoint } from '../../src/msrp/session/index.js';
import type { SipStack } from '../../src/sip/stack.js';
import { cpim, MessagingDevice } from '../cpm/messages/large-world.js';
import { ALICE, BOB, BOB2, device, SDP, SESSION } from '../cpm/participating/session-world.js';
import { anything, octets, startEndpoint } from '../msrp/tools/endpoints.js';
import { afterThisTest, node } from '../sip/embedded/nodes.js';
import { freePort } from '../tools/free-port.js';
import { Program } from '../tools/program.js';
import { soon } from '../tools/soon.js';

const FILE = octets(20_000_000);

/** A client with MSRP: says what it got in its sessions. */
class Client {
  readonly texts: string[] = [];
  fileOctets = 0;
  #sum = 0;
  readonly #user: string;
  readonly #stack: SipStack;
  readonly #endpoint: MsrpEndpoint;
  readonly #contact: string;
  readonly #route: readonly string[];

  private constructor(
    user: string,
    stack: SipStack,
    endpoint: MsrpEndpoint,
    contact: string,
    server: number,
  ) {
    this.#user = user;
    this.#stack = stack;
    this.#endpoint = endpoint;
    this.#contact = contact;
    this.#route = [`<sip:127.0.0.1:${server};lr>`];
    stack.on('INVITE', async (request, response) => {
      const negotiation = this.#negotiation();
      const dialog = await stack.createUAS(request, response, {
        headers: SDP,
        body: negotiation.answer(request.body),
      });
      dialog.onEnd(() => negotiation.session.close());
      await negotiation.session.send({
        contentType: 'text/plain',
        content: Buffer.from(`hello from ${user}`),
      }).sent;
    });
  }

  static async open(user: string, instance: string, server: number): Promise<Client> {
    const { stack, port } = await node(['udp:127.0.0.1:0'], 2_000);
    const { endpoint } = await startEndpoint();
    const contact = `<sip:${user}@127.0.0.1:${port()}>${device(instance)}`;
    return new Client(user, stack, endpoint, contact, server);
  }

  async register(): Promise<void> {
    const aor = `<sip:${this.#user}@ims.test>`;
    const headers = { From: aor, To: aor, Contact: this.#contact, Supported: 'gruu' };
    const response = await this.#stack.request('sip:ims.test', {
      method: 'REGISTER',
      route: this.#route,
      headers,
    });
    expect(response.status).toBe(200);
  }

  /** A session with the device of that Instance ID: text and a file go there, and text comes back. */
  async talk(aor: string, instance: string): Promise<void> {
    const negotiation = this.#negotiation();
    const from = `<sip:${this.#user}@ims.test>`;
    const chosen = `*;+sip.instance="<${instance}>";require;explicit`;
    const dialog = await this.#stack.createUAC(aor, {
      method: 'INVITE',
      route: this.#route,
      headers: { ...SESSION, 'Accept-Contact': [String(SESSION['Accept-Contact']), chosen], From: from },
      body: negotiation.offer(),
    });
    negotiation.accept(dialog.response!.body);
    const { session } = negotiation;
    expect(await session.send({ contentType: 'text/plain', content: Buffer.from('how are you') }).sent).toBe(
      200,
    );
    const file = session.send({ contentType: 'image/png', content: FILE, successReport: true });
    expect(await file.reported).toBe(200);
    await soon(() => this.texts.length).toBeGreaterThan(0);
    await dialog.destroy();
    session.close();
  }

  /** Whether the file came octet for octet. */
  get hasFile(): boolean {
    return this.fileOctets === FILE.length && this.#sum === sumOf(FILE, 0);
  }

  #negotiation(): MsrpNegotiation {
    this.fileOctets = this.#sum = 0;
    const receiver = streamedMessages(30_000_000, async ({ contentType }, pieces) => {
      let text = '';
      for await (const piece of pieces) {
        if (contentType === 'text/plain') text += piece.toString();
        else {
          this.fileOctets += piece.length;
          this.#sum = sumOf(piece, this.#sum);
        }
      }
      if (text !== '') this.texts.push(text);
      return 200;
    });
    return new MsrpNegotiation(this.#endpoint.createSession({ receiver }), anything);
  }
}

const sumOf = (piece: Buffer, before: number): number => {
  let sum = before;
  for (const octet of piece) sum = (sum * 31 + octet) | 0;
  return sum;
};

it(
  'two clients exchange text and 20 MB in and out of the media path, and a message waits, over kills of the server',
  { timeout: 300_000 },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'parley-show-'));
    afterThisTest(() => rmSync(folder, { recursive: true, force: true }));
    const port = await freePort();
    const serve = async (): Promise<{ program: Program; api: string }> => {
      const program = new Program(['serve'], {
        env: {
          PARLEY_AUTH: 'none',
          PARLEY_STORE: `lmdb:${join(folder, 'data')}`,
          PARLEY_SIP_LISTEN: `udp:127.0.0.1:${port}`,
        },
        config: JSON.stringify({ sip: { overloadDelay: 60_000, timers: { t1: 2_000, t2: 4_000 } } }),
      });
      afterThisTest(() => program.dispose());
      return { program, api: (await program.ready()).api };
    };
    let server = await serve();
    const restart = async (): Promise<void> => {
      server.program.child.kill('SIGKILL');
      await server.program.exit();
      server = await serve();
    };
    const alice = await Client.open('alice', ALICE, port);
    const [bob, bob2] = [await Client.open('bob', BOB, port), await Client.open('bob', BOB2, port)];
    for (const client of [alice, bob, bob2]) await client.register();
    await alice.talk('sip:bob@ims.test', BOB2);
    expect([bob2.texts, bob2.hasFile, bob.texts]).toEqual([['how are you'], true, []]);
    expect(alice.texts).toEqual(['hello from bob']);

    const policy = `${server.api}/api/v1/policies/${encodeURIComponent('sip:bob@ims.test')}`;
    const body = JSON.stringify({ mediaPath: true });
    const headers = { 'content-type': 'application/json' };
    expect((await fetch(policy, { method: 'PATCH', headers, body })).status).toBe(200);
    await restart();
    alice.texts.length = 0;
    await alice.talk('sip:bob@ims.test', BOB);
    expect([bob.texts, bob.hasFile, alice.texts]).toEqual([['how are you'], true, ['hello from bob']]);
    const counts = await (await fetch(`${server.api}/metrics`)).text();
    expect(counts).toMatch(/^parley_decisions_total\{code="msrp.session-bound"\} 2$/m);

    const options = { instance: ALICE, services: [cpmServices.message] };
    const tablet = await MessagingDevice.open('carol', port, { ...options, instance: BOB });
    const phone = await MessagingDevice.open('carol', port, options);
    const dave = await MessagingDevice.open('dave', port, { ...options, instance: BOB2 });
    for (const one of [tablet, phone]) expect((await one.register()).status).toBe(200);
    expect((await phone.page(dave.aor, cpim('are you there', 'm-1'))).status).toBe(202);
    await restart();
    await dave.register();
    await soon(() => dave.got.length).toBe(1);
    await restart();
    await dave.register();
    const notice = formatCpim({
      from: { name: '', uri: dave.aor },
      to: [{ name: '', uri: phone.aor }],
      mime: [['Content-Type', IMDN_TYPE]],
      content: Buffer.from(
        formatImdn({
          messageId: 'm-1',
          dateTime: '2026-11-26T10:00:00Z',
          kind: 'delivery',
          status: 'delivered',
        }),
      ),
    });
    expect((await dave.page(phone.aor, notice)).status).toBe(200);
    expect(phone.got.map(({ octets: all }) => parseImdn(parseCpim(all).content).status)).toEqual([
      'delivered',
    ]);
    expect([tablet.got, dave.got.map(({ octets: all }) => parseCpim(all).content.toString())]).toEqual([
      [],
      ['are you there'],
    ]);
  },
);
