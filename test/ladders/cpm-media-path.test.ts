import { expect, it } from 'vitest';
import { ALICE, BOB, device, SESSION, setPolicy } from '../cpm/participating/session-world.js';
import { patientServer } from '../cpm/patient-server.js';
import { Line, lineOffer } from '../msrp/tools/line.js';
import { useCleanups } from '../tools/cleanups.js';
import { Ladder } from '../tools/ladder.js';
import { Phone } from '../tools/phone.js';

const cleanups = useCleanups();
const NEAR = 'msrp://alice.invalid:9/alice;tcp';
const FAR = 'msrp://bob.invalid:9/bob;tcp';
const pathIn = (body: Uint8Array): string => /^a=path:(\S+)/m.exec(Buffer.from(body).toString())![1]!;

it('draws a CPM 1-1 session with the server in its media path', async () => {
  const registrar = { gruuNameSpace: '5b1f1c2e-8f5e-4a51-9d3a-6f0c6e1f7a10' };
  const parley = await patientServer(cleanups, { registrar });
  await setPolicy(parley, 'sip:alice@ims.test', { mediaPath: true });
  const [alice, bob] = [await Phone.open('alice', parley.port), await Phone.open('bob', parley.port)];
  cleanups.push(
    () => alice.close(),
    () => bob.close(),
  );
  const msrp = parley.app.msrp.listeners[0]!.port;
  const ladder = new Ladder(
    'A CPM 1-1 session with the server in the media path',
    'Alice wants the server in the media path (`mediaPath`): each side has a dialog and an MSRP session with it. She sends one message and ends the session.',
  );
  ladder.peer('alice', alice.peer);
  ladder.server('parley', parley.port, msrp);
  ladder.peer('bob', bob.peer);
  await ladder.without(async () => {
    await alice.register(device(ALICE), { Supported: 'gruu' });
    await bob.register(device(BOB), { Supported: 'gruu' });
  });
  const more = { 'Contribution-ID': 'contribution-1' };
  alice.send('INVITE', bob.aor, { ...SESSION, ...more }, lineOffer(NEAR));
  const invite = await bob.peer.request('INVITE');
  const headers = { Contact: `<${bob.contact}>`, 'Content-Type': 'application/sdp' };
  bob.peer.answer(invite, 200, headers, 'tag-bob', lineOffer(FAR));
  const ok = await alice.peer.response(200);
  const inside = { From: ok.get('From'), To: ok.get('To'), 'Call-ID': ok.callId };
  const target = ok.contacts[0]!.uriText;
  alice.send('ACK', target, { ...inside, CSeq: `${ok.cseq.number} ACK` });
  await bob.peer.request('ACK');

  const [one, other] = [new Line(msrp), new Line(msrp)];
  const bind = other.request('SEND', pathIn(invite.body), ['Message-ID: bind'], undefined, '$', FAR);
  expect(await other.answerOf(bind)).toBe(200);
  other.text = '';
  const to = pathIn(ok.body);
  const fields = ['Message-ID: message-1', 'Byte-Range: 1-5/5', 'Content-Type: text/plain'];
  const id = one.request('SEND', to, fields, 'hello', '$', NEAR);
  const said = [`MSRP ${id} SEND`, `To-Path: ${to}`, `From-Path: ${NEAR}`, ...fields, '', 'hello'];
  ladder.message('alice', 'parley', `${said.join('\r\n')}\r\n-------${id}$\r\n`);
  const passed = await other.take(/SEND/);
  ladder.message('parley', 'bob', passed);
  const onward = /^MSRP (\S+)/.exec(passed)![1]!;
  other.answer(onward, 200, pathIn(invite.body), FAR);
  ladder.message(
    'bob',
    'parley',
    `MSRP ${onward} 200 OK\r\nTo-Path: ${pathIn(invite.body)}\r\nFrom-Path: ${FAR}\r\n-------${onward}$\r\n`,
  );
  ladder.message('parley', 'alice', await one.take(/200/));

  alice.send('BYE', target, inside);
  await alice.peer.response(200);
  await bob.answer('BYE', 200);
  await expect(ladder.markdown()).toMatchFileSnapshot('../../docs/ladders/cpm-media-path.md');
});
