import { describe, expect, it } from 'vitest';
import { useCleanups } from '../../tools/cleanups.js';
import { ForeignCore, reginfoOf } from '../../tools/foreign-core.js';

const cleanups = useCleanups();

async function core(settings: Record<string, unknown> = {}): Promise<ForeignCore> {
  const started = await ForeignCore.start(settings);
  cleanups.push(() => started.close());
  return started;
}

const BOB = 'sip:bob@ims.test';
const PAGER = 'urn:urn-7:3gpp-service.ims.icsi.oma.cpm.msg';
const pager = { 'Content-Type': 'text/plain', 'P-Preferred-Service': PAGER };

/** Whom the core asks for, with the Route of the server and that of the core behind it. */
const isc = (scscf: ForeignCore, served: string, params: string): Record<string, string> => ({
  ...pager,
  Route: `${scscf.server}, ${scscf.route}`,
  'P-Served-User': `<${served}>;${params}`,
  'P-Asserted-Identity': '<sip:alice@ims.test>',
});

describe('a request on ISC', () => {
  it('passes the services of the caller and goes back with the original dialog identifier', async () => {
    const scscf = await core();
    scscf.send('MESSAGE', BOB, isc(scscf, 'sip:alice@ims.test', 'sescase=orig;regstate=reg'), 'hello');
    const back = await scscf.answer('MESSAGE');
    expect(back.uri).toBe(BOB);
    expect(back.headers.list('Route')).toEqual([scscf.route]);
    expect(back.addresses('P-Served-User')[0]!.uriText).toBe('sip:alice@ims.test');
    // what the originating participating function does
    expect(back.get('P-Asserted-Service')).toBe(PAGER);
    expect(Buffer.from(back.body).toString()).toBe('hello');
    expect((await scscf.response()).status).toBe(200);
  });

  it('that no service wants goes back as it came', async () => {
    const scscf = await core();
    scscf.send('OPTIONS', BOB, isc(scscf, BOB, 'sescase=term;regstate=reg'));
    const back = await scscf.answer('OPTIONS', 404);
    expect(back.headers.list('Route')).toEqual([scscf.route]);
    expect((await scscf.response()).status).toBe(404);
  });

  it('without P-Served-User is for the caller where the Route says orig', async () => {
    const scscf = await core();
    scscf.send(
      'MESSAGE',
      BOB,
      {
        ...pager,
        Route: `<sip:127.0.0.1:${scscf.parley.port};lr;orig>, ${scscf.route}`,
        'P-Asserted-Identity': '<sip:alice@ims.test>',
      },
      'hello',
    );
    expect((await scscf.answer('MESSAGE')).get('P-Asserted-Service')).toBe(PAGER);
  });

  it('that a service keeps is delivered over the core when the user registers, and passes us once more', async () => {
    const scscf = await core();
    const alice = 'sip:alice@ims.test';
    scscf.send('MESSAGE', alice, isc(scscf, alice, 'sescase=term;regstate=unreg'), 'later');
    expect((await scscf.response()).status).toBe(202);
    const subscribe = await scscf.subscribed();
    expect(await scscf.notify(subscribe, reginfoOf(0, 'full', 1))).toBe(200);
    const delivery = await scscf.unanswered('MESSAGE');
    expect([delivery.uri, Buffer.from(delivery.body).toString()]).toEqual([alice, 'later']);
    // the core triggers its application servers, us among them, and gets the same message back for the device
    scscf.forward(delivery, {
      Route: `${scscf.server}, ${scscf.route}`,
      'P-Served-User': `<${alice}>;sescase=term;regstate=reg`,
    });
    const device = await scscf.answer('MESSAGE');
    expect(device.callId).toBe(delivery.callId);
    expect(device.headers.list('Route')).toEqual([scscf.route]);
    expect(scscf.unread.filter((method) => method === 'MESSAGE')).toEqual([]);
  });

  it('of anybody but the core is refused', async () => {
    const scscf = await core({ foreignCore: { uri: 'sip:127.0.0.2:5060' } });
    scscf.send('MESSAGE', BOB, isc(scscf, BOB, 'sescase=term;regstate=reg'), 'hello');
    expect((await scscf.response()).status).toBe(403);
  });

  it('inside a dialog that nobody here has gets 481', async () => {
    const scscf = await core();
    const me = `sip:127.0.0.1:${scscf.parley.port}`;
    scscf.send('BYE', me, { To: `<${me}>;tag=gone` });
    expect((await scscf.response()).status).toBe(481);
  });
});

it('without the role core there is no registrar', async () => {
  const scscf = await core();
  expect(scscf.parley.app.registrar).toBeUndefined();
});
