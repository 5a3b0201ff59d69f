import { describe, expect, it } from 'vitest';
import { SystemClock, VirtualClock, type Clock } from '../../../src/base/clock.js';
import {
  asSipStatus,
  receiveLargeMessage,
  receiveWholeLargeMessage,
  sendLargeMessage,
  type LargeMessageOutcome,
  type LargeMessageReceiverOptions,
} from '../../../src/cpm/large-message/index.js';
import { cpmServices } from '../../../src/identity/cpm-services.js';
import type { MsrpEndpoint } from '../../../src/msrp/session/index.js';
import type { ServerRequest, SipStack } from '../../../src/sip/stack.js';
import { octets, startEndpoint } from '../../msrp/tools/endpoints.js';
import { afterThisTest, node, type Node } from '../../sip/embedded/nodes.js';

function realClock(): Clock {
  const clock = new SystemClock((error) => {
    throw error;
  });
  afterThisTest(() => clock.close());
  return clock;
}

interface World {
  readonly sender: Node;
  readonly receiver: Node;
  readonly ours: MsrpEndpoint;
  readonly theirs: MsrpEndpoint;
  /** What the receiver's `receive…` gave, or threw. */
  readonly received: Promise<number | Error>;
  send(
    size: number,
    more?: { clock?: Clock; content?: AsyncIterable<Uint8Array> },
  ): Promise<LargeMessageOutcome>;
}

type Receive = (
  request: ServerRequest,
  response: Parameters<typeof receiveLargeMessage>[1],
  options: LargeMessageReceiverOptions,
) => Promise<number>;

async function world(receive: Receive, limit = 5_000_000, clock = realClock()): Promise<World> {
  const [sender, receiver] = [await node(), await node()];
  const [ours, theirs] = [(await startEndpoint()).endpoint, (await startEndpoint()).endpoint];
  let told: (result: number | Error) => void;
  const received = new Promise<number | Error>((resolve) => (told = resolve));
  receiver.stack.on('INVITE', (request, response) =>
    receive(request, response, {
      stack: receiver.stack,
      endpoint: theirs,
      clock,
      limit,
      subject: 'sip:bob@ims.test',
    }).then(
      (status) => told(status),
      (error: Error) => {
        told(error);
        throw error;
      },
    ),
  );
  return {
    sender,
    receiver,
    ours,
    theirs,
    received,
    send: (size, { clock: own = realClock(), content = undefined } = {}) =>
      sendLargeMessage(
        {
          to: receiver.uri(),
          headers: { 'Contribution-ID': 'c-1' },
          contentType: 'message/cpim',
          content: content ?? octets(size),
          size,
          subject: 'sip:alice@ims.test',
        },
        { stack: sender.stack, endpoint: ours, clock: own },
      ),
  };
}

const nobodyLeft = async ({ ours, theirs }: World): Promise<void> => {
  await expect.poll(() => ours.figures.sessions + theirs.figures.sessions).toBe(0);
};

describe('a large message', () => {
  it('goes from one end to the other in a session of its own, with service, direction and size', async () => {
    let invite: ServerRequest | undefined;
    let length = 0;
    const all = await world((request, response, options) => {
      invite = request;
      return receiveLargeMessage(request, response, options, async ({ contentType, size }, pieces) => {
        for await (const piece of pieces) length += piece.length;
        return contentType === 'message/cpim' && size === 3_000_000 ? 200 : 400;
      });
    });
    expect(await all.send(3_000_000)).toEqual({ status: 200, by: 'message' });
    expect([await all.received, length]).toEqual([200, 3_000_000]);
    expect(invite!.get('P-Asserted-Service')).toBe(cpmServices.largeMessage);
    expect(invite!.get('Contribution-ID')).toBe('c-1');
    const offer = Buffer.from(invite!.body).toString();
    expect(offer).toContain('a=sendonly');
    expect(offer).toContain('a=file-selector:size:3000000');
    await nobodyLeft(all);
  });

  it.each([
    ['is told what the receiver says of it', 403, 403],
    ['that cannot be kept comes back as a failure of the server', 500, 500],
  ])('%s', async (_, answer, status) => {
    const all = await world((request, response, options) =>
      receiveWholeLargeMessage(request, response, options, () => answer),
    );
    expect(await all.send(2_000)).toEqual({ status, by: 'message' });
    expect(await all.received).toBe(answer);
    await nobodyLeft(all);
  });

  it('that is announced as too large is refused before it is sent', async () => {
    const all = await world(
      (request, response, options) => receiveWholeLargeMessage(request, response, options, () => 200),
      1_000,
    );
    expect(await all.send(1_001)).toEqual({ status: 403, by: 'invitation' });
    expect(await all.received).toMatchObject({ code: 'large-message-size' });
    await nobodyLeft(all);
  });

  it('whose octets are not what was announced does not arrive', async () => {
    const all = await world((request, response, options) =>
      receiveWholeLargeMessage(request, response, options, () => 200),
    );
    const content = (async function* () {
      yield octets(10);
    })();
    expect((await all.send(100, { content })).status).toBe(400);
    expect(await all.received).not.toBe(200);
    await nobodyLeft(all);
  });

  it.each([
    ['without a description', 'text/plain', 'hello'],
    [
      'without a path',
      'application/sdp',
      'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=message 9 TCP/MSRP *\r\n',
    ],
  ])('%s is refused with 488', async (_, type, body) => {
    const all = await world((request, response, options) =>
      receiveWholeLargeMessage(request, response, options, () => 200),
    );
    const answer = all.sender.stack.createUAC(all.receiver.uri(), {
      method: 'INVITE',
      headers: { 'Content-Type': type },
      body,
    });
    await expect(answer).rejects.toMatchObject({ status: 488 });
    await nobodyLeft(all);
  });

  it('that never comes, although its session is there, ends the session', async () => {
    const clock = new VirtualClock();
    const all = await world(
      (request, response, options) => receiveWholeLargeMessage(request, response, options, () => 200),
      1_000,
      clock,
    );
    const dialog = await inviteOnly(all.sender.stack, all.receiver);
    const ended = new Promise((resolve) => dialog.onEnd(resolve));
    await clock.advanceAsync(31_000, 1_000);
    await ended;
    expect(await all.received).toBe(408);
    await nobodyLeft(all);
  });

  it('to somebody who does not answer is given up', async () => {
    const all = await world(() => new Promise(() => {}));
    const clock = new VirtualClock();
    let rang = (): void => {};
    const ringing = new Promise<void>((resolve) => (rang = resolve));
    all.receiver.stack.on('INVITE', (_request, response) => {
      response.send(180);
      rang();
    });
    const outcome = all.send(10, { clock });
    await ringing;
    await clock.advanceAsync(61_000, 1_000);
    expect(await outcome).toEqual({ status: 408, by: 'invitation' });
  });
});

const inviteOnly = (stack: SipStack, receiver: Node) =>
  stack.createUAC(receiver.uri(), {
    method: 'INVITE',
    headers: { 'Content-Type': 'application/sdp' },
    body: [
      'v=0',
      'o=- 1 1 IN IP4 127.0.0.1',
      's=-',
      'c=IN IP4 127.0.0.1',
      't=0 0',
      'm=message 9 TCP/MSRP *',
      'a=setup:active',
      'a=sendonly',
      'a=accept-types:message/cpim',
      'a=path:msrp://127.0.0.1:9/nobody;tcp',
      '',
    ].join('\r\n'),
  });

describe('the status of a message over MSRP', () => {
  it.each([
    [200, 200],
    [403, 403],
    [413, 513],
    [481, 480],
    [506, 500],
    [999, 500],
  ])('%i is %i in SIP', (msrp, sip) => {
    expect(asSipStatus(msrp)).toBe(sip);
  });
});
