import { expect, it } from 'vitest';
import { cpmServices } from '../../src/identity/cpm-services.js';
import { ALICE, BOB, device, SDP } from '../cpm/participating/session-world.js';
import { patientServer } from '../cpm/patient-server.js';
import { Line, lineOffer } from '../msrp/tools/line.js';
import { useCleanups } from '../tools/cleanups.js';
import { Ladder } from '../tools/ladder.js';
import { Phone } from '../tools/phone.js';

const cleanups = useCleanups();
const NEAR = 'msrp://alice.invalid:9/alice;tcp';
const FAR = 'msrp://carol.invalid:9/carol;tcp';
const LARGE = [cpmServices.largeMessage];
const pathIn = (body: Uint8Array): string => /^a=path:(\S+)/m.exec(Buffer.from(body).toString())![1]!;

it('draws a large message that waits for its recipient', async () => {
  const registrar = { gruuNameSpace: '5b1f1c2e-8f5e-4a51-9d3a-6f0c6e1f7a10' };
  const parley = await patientServer(cleanups, { registrar });
  const [alice, carol] = [await Phone.open('alice', parley.port), await Phone.open('carol', parley.port)];
  cleanups.push(
    () => alice.close(),
    () => carol.close(),
  );
  const msrp = parley.app.msrp.listeners[0]!.port;
  const ladder = new Ladder(
    'A large message that waits',
    'Carol has no device. The server takes the message over MSRP, answers it with 200 when it is committed, and sends it on when a device of Carol registers.',
  );
  ladder.peer('alice', alice.peer);
  ladder.server('parley', parley.port, msrp);
  ladder.peer('carol', carol.peer);
  await ladder.without(() => alice.register(device(ALICE, LARGE), { Supported: 'gruu' }));

  const headers = { ...SDP, 'P-Preferred-Service': cpmServices.largeMessage, 'Contribution-ID': 'c-1' };
  alice.send('INVITE', carol.aor, headers, `${lineOffer(NEAR)}a=sendonly\r\na=file-selector:size:5\r\n`);
  const ok = await alice.peer.response(200);
  const dialog = { From: ok.get('From'), To: ok.get('To'), 'Call-ID': ok.callId };
  const target = ok.contacts[0]!.uriText;
  alice.send('ACK', target, { ...dialog, CSeq: `${ok.cseq.number} ACK` });
  const one = new Line(msrp);
  const to = pathIn(ok.body);
  const fields = ['Message-ID: message-1', 'Byte-Range: 1-5/5', 'Content-Type: text/plain'];
  const id = one.request('SEND', to, fields, 'hello', '$', NEAR);
  const said = [`MSRP ${id} SEND`, `To-Path: ${to}`, `From-Path: ${NEAR}`, ...fields, '', 'hello'];
  ladder.message('alice', 'parley', `${said.join('\r\n')}\r\n-------${id}$\r\n`);
  ladder.message('parley', 'alice', await one.take(/200/));
  alice.send('BYE', target, dialog);
  await alice.peer.response(200);

  await ladder.without(() => carol.register(device(BOB, LARGE), { Supported: 'gruu' }));
  const invite = await carol.peer.request('INVITE');
  const accepting = { ...SDP, Contact: `<${carol.contact}>` };
  carol.peer.answer(invite, 200, accepting, 'tag-carol', lineOffer(FAR));
  await carol.peer.request('ACK');
  const other = new Line(msrp);
  const bind = other.request('SEND', pathIn(invite.body), ['Message-ID: bind'], undefined, '$', FAR);
  expect(await other.answerOf(bind)).toBe(200);
  const passed = await other.take(/SEND/);
  ladder.message('parley', 'carol', passed);
  const onward = /^MSRP (\S+)/.exec(passed)![1]!;
  other.answer(onward, 200, pathIn(invite.body), FAR);
  const taken = [`MSRP ${onward} 200 OK`, `To-Path: ${pathIn(invite.body)}`, `From-Path: ${FAR}`];
  ladder.message('carol', 'parley', `${taken.join('\r\n')}\r\n-------${onward}$\r\n`);
  await carol.answer('BYE', 200);
  await expect(ladder.markdown()).toMatchFileSnapshot('../../docs/ladders/cpm-large-message.md');
});
