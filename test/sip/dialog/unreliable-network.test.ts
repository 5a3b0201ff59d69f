import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { ParleyError } from '../../../src/base/errors.js';
import { FinalResponseError } from '../../../src/sip/final-response-error.js';
import type { Dialog } from '../../../src/sip/stack.js';
import { VirtualNetwork } from '../../tools/virtual-network.js';

const [ALICE, MIDDLE, BOB] = ['10.0.0.1', '10.0.0.2', '10.0.0.3'];
const sdp = { 'Content-Type': 'application/sdp' };

type Action = 'info' | 'modify' | 'update' | 'destroy' | 'wait';
const action: fc.Arbitrary<readonly [side: 'near' | 'far', what: Action]> = fc.tuple(
  fc.constantFrom('near' as const, 'far' as const),
  fc.constantFrom<Action>('info', 'modify', 'update', 'wait', 'info', 'modify', 'destroy'),
);

/** What stands between alice and bob. */
const between = fc.constantFrom('nothing' as const, 'proxy' as const, 'b2bua' as const);

async function middle(network: VirtualNetwork, kind: 'nothing' | 'proxy' | 'b2bua'): Promise<void> {
  if (kind === 'nothing') return;
  const stack = await network.host(MIDDLE);
  stack.on('*', async (request, response) => {
    const uri = request.recordRouted ? request.uri : `sip:bob@${BOB}`;
    if (kind === 'proxy')
      await stack.proxyRequest(request, response, { groups: [[{ uri }]], recordRoute: true });
    else if (request.method === 'INVITE' && request.toTag === undefined)
      await stack.createB2BUA(request, response, { uri });
    else response.send(481);
  });
}

/** Failures that the network may cause, as the port names them. Anything else is a bug. */
function mayFail(error: unknown): void {
  const known = error instanceof FinalResponseError || error instanceof ParleyError;
  if (!known) throw error;
}

async function act(dialog: Dialog | undefined, what: Action): Promise<void> {
  if (!dialog) return;
  try {
    if (what === 'info') await dialog.send({ method: 'INFO' });
    else if (what === 'modify') await dialog.modify(`offer ${Math.random()}`, sdp);
    else if (what === 'update') await dialog.send({ method: 'UPDATE' });
    else if (what === 'destroy') await dialog.destroy();
  } catch (error) {
    mayFail(error);
  }
}

function answering(dialog: Dialog): Dialog {
  dialog.onRequest((request, response) => {
    response.send(200, request.body.length > 0 ? { body: 'answer', headers: sdp } : undefined);
  });
  return dialog;
}

describe('a call over a network that loses datagrams', () => {
  it('ends on both sides whatever is lost and whatever they do, and leaves no timer and no transaction behind', async () => {
    await fc.assert(
      fc.asyncProperty(
        between,
        fc.integer({ min: 0, max: 50 }),
        fc.infiniteStream(fc.nat(99)),
        fc.array(action, { maxLength: 8 }),
        fc.boolean(),
        async (kind, lossPercent, dice, actions, reliable) => {
          const clock = new VirtualClock();
          const network = new VirtualNetwork(clock, () => (dice.next().value as number) < lossPercent);
          const [alice, bob] = [await network.host(ALICE), await network.host(BOB)];
          await middle(network, kind);
          let far: Dialog | undefined;
          bob.on('INVITE', async (request, response) => {
            if (reliable) response.send(183, { body: 'early', headers: { ...sdp, Require: '100rel' } });
            else response.send(180);
            far = answering(await bob.createUAS(request, response, { body: 'answer', headers: sdp }));
          });
          const target = `sip:bob@${kind === 'nothing' ? BOB : MIDDLE}`;
          let near: Dialog | undefined;
          const calling = alice
            .createUAC(target, { method: 'INVITE', body: 'offer', headers: sdp, sessionExpires: 600 })
            .then((dialog) => (near = answering(dialog)), mayFail);
          await clock.advanceAsync(40_000, 100);
          const started: Promise<void>[] = [];
          for (const [side, what] of actions) {
            started.push(act(side === 'near' ? near : far, what));
            await clock.advanceAsync(300, 100);
          }
          await clock.advanceAsync(80_000, 200);
          started.push(act(near, 'destroy'), act(far, 'destroy'));
          // every retransmission, Timer H to M, and a second round for what these start
          await clock.advanceAsync(150_000, 500);
          let settled = false;
          void Promise.all([calling, ...started]).then(() => (settled = true));
          await clock.advanceAsync(100);
          expect(settled).toBe(true);
          expect([near?.state ?? 'terminated', far?.state ?? 'terminated']).toEqual([
            'terminated',
            'terminated',
          ]);
          await clock.advanceAsync(700_000, 2_000);
          expect(clock.pending).toBe(0);
          expect(network.running).toBe(0);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('is set up when only every second datagram arrives', async () => {
    const clock = new VirtualClock();
    let count = 0;
    const network = new VirtualNetwork(clock, () => count++ % 2 === 0);
    const [alice, bob] = [await network.host(ALICE), await network.host(BOB)];
    let far: Dialog | undefined;
    bob.on('INVITE', async (request, response) => {
      response.send(183, { body: 'early', headers: { ...sdp, Require: '100rel' } });
      far = await bob.createUAS(request, response);
    });
    let near: Dialog | undefined;
    const calling = alice.createUAC(`sip:bob@${BOB}`, { method: 'INVITE' }).then((dialog) => (near = dialog));
    await clock.advanceAsync(20_000, 10);
    await calling;
    expect([near?.state, far?.state]).toEqual(['confirmed', 'confirmed']);
    expect(network.sent.filter((line) => line.startsWith('INVITE')).length).toBeGreaterThan(1);
  });
});
