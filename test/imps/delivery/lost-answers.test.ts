import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { child, element, textOf } from '../../../src/imps/codec/element.js';
import { CirLine } from '../tools/cir-line.js';
import { message, type Phone } from '../tools/phone.js';
import { userId, world, type World } from '../tools/world.js';

let here: World;
let alice: Phone;
let bob: Phone;
const open: { destroy(): void }[] = [];
beforeEach(async () => {
  here = await world();
  alice = await here.phone('alice').start();
  bob = here.phone('bob');
});
afterEach(async () => {
  for (const one of open.splice(0)) one.destroy();
  expect(here.errors).toEqual([]);
  await here.close();
});

const send = (text: string) => alice.request(message(text, [userId('bob')]));
const status = element('Status', element('Result', element('Code', 200)));
const logout = element('Logout-Request');

async function withTcp(): Promise<CirLine> {
  await bob.login2();
  await bob.negotiate(element('SupportedCIRMethod', 'STCP'));
  const line = new CirLine(here.cirPort);
  open.push(line.socket);
  line.socket.write(`HELO ${bob.sessionId}\r\n`);
  await line.until(1);
  return line;
}

/** What a connection has heard once it has answered everything before. */
async function heard(line: CirLine): Promise<string[]> {
  const answers = line.lines.filter((text) => text === 'OK').length;
  line.socket.write('PING\r\n');
  while (line.lines.filter((text) => text === 'OK').length === answers)
    await line.until(line.lines.length + 1);
  return line.lines.filter((text) => text !== 'OK');
}

/** Runs the deadlines of the server until something holds. */
async function sweepUntil(holds: () => boolean | Promise<boolean>): Promise<void> {
  await expect
    .poll(
      async () => {
        here.clock.advance(1000);
        return holds();
      },
      { timeout: 30_000, interval: 1 },
    )
    .toBe(true);
}

describe('an answer to a poll that is lost', () => {
  it('is announced once more by CIR when its message may be sent again, and then no more', async () => {
    const line = await withTcp();
    await send('lost on its way');
    expect(await line.until(2)).toEqual(['OK', 'WVCI 1.3 cookie-1']);
    here.clock.advance(1000);
    expect((await bob.poll())[0]?.primitive?.name).toBe('NewMessage');
    here.clock.advance(60_000);
    await sweepUntil(() => line.lines.length > 2);
    expect(await heard(line)).toEqual(['WVCI 1.3 cookie-1', 'WVCI 1.3 cookie-1']);
    for (let rounds = 0; rounds < 100; rounds++) await sweepUntil(() => true);
    expect(await heard(line)).toHaveLength(2);
    expect(await bob.messages()).toEqual(['lost on its way']);
  });

  it('is announced no more when it was acknowledged', async () => {
    const line = await withTcp();
    await send('arrived');
    await line.until(2);
    here.clock.advance(1000);
    expect(await bob.messages()).toEqual(['arrived']);
    for (let rounds = 0; rounds < 100; rounds++) await sweepUntil(() => true);
    expect(await heard(line)).toHaveLength(1);
  });
});

describe('an answer to a poll', () => {
  it('is not empty where what waits first is of a service that the client then left out', async () => {
    await bob.login2();
    for (const id of ['i-1', 'i-2', 'i-3', 'i-4']) {
      const recipient = element('Recipient', element('User', element('UserID', userId('bob'))));
      await alice.request(
        element('Invite-Request', element('InviteID', id), element('InviteType', 'IM'), recipient),
      );
    }
    await bob.request(
      element('Service-Request', element('Functions', element('WVCSPFeat', element('IMFeat')))),
    );
    await send('behind the invitations');
    const [first, second] = await bob.poll();
    expect(textOf(first?.primitive, 'ContentData')).toBe('behind the invitations');
    expect(second).toBeUndefined();
    const other = await here.phone('bob', { clientId: 'wv:other' }).start();
    expect((await other.drain()).map(({ name }) => name)).toEqual(Array(4).fill('InviteUser-Request'));
  });

  it('is not empty where the oldest messages have expired', async () => {
    for (let number = 0; number < 20; number++)
      await alice.request(message(`${number}`, [userId('bob')], element('Validity', 60)));
    await send('still valid');
    here.clock.advance(61_000);
    await bob.start();
    expect(textOf((await bob.poll())[0]?.primitive, 'ContentData')).toBe('still valid');
  });
});

describe('a Status to what a server sent that is no more', () => {
  const restart = async (): Promise<void> => {
    here = await here.restart();
    const session = bob.sessionId;
    bob = here.phone('bob');
    bob.sessionId = session;
    alice = await here.phone('alice', { clientId: 'wv:after' }).start();
  };

  it('acknowledges a pushed message, which does not come again', async () => {
    await bob.start();
    await send('once');
    const [got] = await bob.poll();
    expect(got?.primitive?.name).toBe('NewMessage');
    await restart();
    await bob.respond(got!.id, status);
    await bob.request(logout);
    expect(await (await here.phone('bob', { clientId: 'wv:next' }).start()).messages()).toEqual([]);
  });

  it('acknowledges no message that was only announced', async () => {
    await bob.start(element('InitialDeliveryMethod', 'N'));
    await send('to be fetched');
    const [got] = await bob.poll();
    expect(got?.primitive?.name).toBe('MessageNotification');
    await restart();
    await bob.respond(got!.id, status);
    const fetched = await bob.request(element('GetMessage-Request', element('MessageID', got!.id)));
    expect(textOf(fetched, 'ContentData')).toBe('to be fetched');
  });

  it('acknowledges no message that ParserSize kept from being pushed', async () => {
    await bob.login2();
    await bob.negotiate(element('ParserSize', 700));
    await send('x'.repeat(1000));
    const [got] = await bob.poll();
    expect(got?.primitive?.name).toBe('MessageNotification');
    await restart();
    await bob.respond(got!.id, status);
    const list = await bob.request(element('GetMessageList-Request'));
    expect(child(list, 'MessageInfoList')?.children).toHaveLength(1);
  });
});

describe('what waits for a client that was not told', () => {
  it('since its server was killed is told a minute after the next start', async () => {
    const socket: UdpSocket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    open.push({ destroy: () => socket.close() });
    const texts: string[] = [];
    socket.on('message', (text) => void texts.push(text.toString()));
    await bob.login2();
    await bob.negotiate(element('SupportedCIRMethod', 'SUDP'), element('UDPPort', socket.address().port));
    here.store.interrupted = true;
    await send('just before the end');
    here.store.interrupted = false;
    here = await here.restart();
    here.clock.advance(59_000);
    here.clock.advance(2_000);
    await expect.poll(() => texts.at(-1), { timeout: 30_000 }).toBe('WVCI 1.3 cookie-1');
  });

  it('since the way to the store was interrupted is told when it is there again', async () => {
    const line = await withTcp();
    here.store.interrupted = true;
    await send('unheard');
    expect(await heard(line)).toEqual([]);
    here.store.interrupted = false;
    expect(await line.until(3)).toContain('WVCI 1.3 cookie-1');
    expect(await bob.messages()).toEqual(['unheard']);
  });

  it('loses its connection when its session ended meanwhile', async () => {
    const line = await withTcp();
    here.store.interrupted = true;
    await bob.request(logout);
    expect(await heard(line)).toEqual([]);
    here.store.interrupted = false;
    await line.end();
  });
});
