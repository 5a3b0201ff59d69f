import { describe, expect, it } from 'vitest';
import type { HeaderMap } from '../../../src/sip/message/headers.js';
import type { Dialog } from '../../../src/sip/stack.js';
import { node } from '../../sip/embedded/nodes.js';
import { useCleanups } from '../../tools/cleanups.js';
import type { RunningParley } from '../../tools/parley.js';
import { Phone } from '../../tools/phone.js';
import { soon } from '../../tools/soon.js';
import { patientServer } from '../patient-server.js';
import {
  ALICE,
  BOB,
  device,
  establish,
  offer,
  SDP,
  SESSION,
  sessionsOf,
  setPolicy,
} from './session-world.js';

const cleanups = useCleanups();

const server = (cpm: Record<string, unknown> = {}): Promise<RunningParley> =>
  patientServer(cleanups, { cpm });

async function phone(user: string, parley: RunningParley, instance: string): Promise<Phone> {
  const opened = await Phone.open(user, parley.port);
  cleanups.push(() => opened.close());
  await opened.register(device(instance), { Supported: 'gruu' });
  return opened;
}

/** Alice's phone, which reaches the server by TCP and answers every session. */
async function overTcp(parley: RunningParley) {
  const { stack } = await node(['tcp:127.0.0.1:0']);
  const dialogs: Dialog[] = [];
  stack.on('INVITE', async (request, response) => {
    dialogs.push(await stack.createUAS(request, response, { headers: SDP, body: offer() }));
  });
  const { port } = parley.app.stack.listeners.find(({ protocol }) => protocol === 'tcp')!;
  const response = await stack.request('sip:ims.test', {
    method: 'REGISTER',
    route: [`<sip:127.0.0.1:${port};transport=tcp;lr>`],
    headers: {
      From: '<sip:alice@ims.test>',
      To: '<sip:alice@ims.test>',
      Supported: 'path, outbound, gruu',
      Contact: `<sip:alice@device.invalid;transport=tcp>;reg-id=1${device(ALICE)}`,
    },
  });
  expect(response.status).toBe(200);
  return { stack, dialogs };
}

async function call(caller: Phone, callee: string): Promise<HeaderMap> {
  caller.send('INVITE', callee, SESSION, offer());
  const answer = await caller.peer.response(200);
  expect(answer.status).toBe(200);
  const dialog = {
    Route: answer.headers.list('Record-Route').reverse(),
    From: answer.get('From'),
    To: answer.get('To'),
    'Call-ID': answer.callId,
  };
  caller.send('ACK', answer.contacts[0]!.uriText, { ...dialog, CSeq: `${answer.cseq.number} ACK` });
  return { ...dialog, target: answer.contacts[0]!.uriText };
}

const deregister = (parley: RunningParley, aor: string): Promise<unknown> =>
  parley.app.registrar!.deregister(aor, 'deactivated');
const hungUp = async (one: Phone): Promise<HeaderMap> => {
  const bye = await one.peer.request('BYE');
  one.peer.answer(bye, 200);
  return { 'Call-ID': bye.callId, Reason: bye.get('Reason') };
};

describe('a session of a device that is gone', () => {
  it.each(['caller', 'callee'])(
    'is ended for the other side when the network deregisters the %s',
    async (lost) => {
      const parley = await server();
      const [alice, bob] = [await phone('alice', parley, ALICE), await phone('bob', parley, BOB)];
      const { answer } = await establish(alice, bob);
      await soon(() => sessionsOf(parley)).toHaveLength(1);
      const [gone, left] = lost === 'caller' ? [alice, bob] : [bob, alice];
      await deregister(parley, gone.aor);
      expect(await hungUp(left)).toEqual({
        'Call-ID': answer.callId,
        Reason: 'SIP;cause=480;text="Device gone"',
      });
      expect(await sessionsOf(parley)).toEqual([]);
      expect(parley.app.trail.counts().get('cpm.session-released')).toBe(1);
      const other = lost === 'caller' ? ALICE : BOB;
      expect(
        (await left.ask('INVITE', `${gone.aor};gr=${other}`, SESSION, offer())).status,
      ).toBeGreaterThanOrEqual(404);
    },
  );

  it('in whose media path the server is ends on both legs', async () => {
    const parley = await server();
    await setPolicy(parley, 'sip:alice@ims.test', { mediaPath: true });
    const [alice, bob] = [await phone('alice', parley, ALICE), await phone('bob', parley, BOB)];
    await establish(alice, bob);
    await soon(() => sessionsOf(parley)).not.toEqual([]);
    await deregister(parley, alice.aor);
    await hungUp(bob);
    await soon(() => sessionsOf(parley)).toEqual([]);
    await soon(() => parley.app.msrp.figures.sessions).toBe(0);
  });

  it('ends when its connection breaks and it does not come back, and a new one to it gets 480', async () => {
    const parley = await server({ lostDeviceSeconds: 0 });
    const bob = await phone('bob', parley, BOB);
    const alice = await overTcp(parley);
    const { target } = await call(bob, 'sip:alice@ims.test');
    await soon(() => sessionsOf(parley)).toHaveLength(1);
    await alice.stack.close();
    await hungUp(bob);
    expect(await sessionsOf(parley)).toEqual([]);
    expect((await bob.ask('INVITE', String(target), SESSION, offer())).status).toBe(480);
  });

  it('goes on when it comes back in time, over another connection', async () => {
    const parley = await server({ lostDeviceSeconds: 3 });
    const bob = await phone('bob', parley, BOB);
    const alice = await overTcp(parley);
    const { target, ...dialog } = await call(bob, 'sip:alice@ims.test');
    await alice.stack.close();
    const again = await overTcp(parley);
    const heard = new Promise<string>((resolve) =>
      again.stack.on('INFO', (request, response) => {
        resolve(request.callId);
        response.send(200);
      }),
    );
    await soon(() => parley.app.trail.counts().get('cpm.session-kept')).toBe(1);
    expect(await sessionsOf(parley)).toHaveLength(1);
    bob.send('INFO', String(target), dialog);
    expect(await heard).toBe(dialog['Call-ID']);
  });
});

describe('the record of a session', () => {
  it('outlives a BYE that names another dialog', async () => {
    const parley = await server();
    const [alice, bob] = [await phone('alice', parley, ALICE), await phone('bob', parley, BOB)];
    const { fromCaller } = await establish(alice, bob);
    await soon(() => sessionsOf(parley)).toHaveLength(1);
    const { uri, headers } = fromCaller;
    const forged = { ...headers, To: `<${bob.aor}>;tag=another` };
    alice.send('BYE', uri, forged);
    await bob.answer('BYE', 481);
    expect((await alice.peer.response(200)).status).toBe(481);
    alice.send('BYE', uri, headers);
    await bob.answer('BYE', 200);
    await soon(() => sessionsOf(parley)).toEqual([]);
    // the forged one ended nothing before: there was one to end
    expect(parley.app.trail.counts().get('cpm.session-ended')).toBe(1);
  });
});
