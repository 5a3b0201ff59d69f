import { describe, expect, it } from 'vitest';
import type { ProxyTarget, Source } from '../../../src/sip/stack.js';
import { message, startStack } from '../embedded/fixture.js';

async function recordRoutes(
  target: ProxyTarget,
  source: Partial<Source> = {},
  contact?: string,
  method = 'INVITE',
): Promise<string[]> {
  const { stack, transactions, wire } = await startStack();
  wire.flows.set('tcp|9', { protocol: 'tcp', address: '127.0.0.1', port: 40_000, flow: 'tcp|9' });
  stack.on(method, async (request, response) => {
    await stack.proxyRequest(request, response, { groups: [[target]], recordRoute: true });
  });
  const text = message(method, 'sip:bob@ims.test', 'Record-Route: <sip:p1;lr>');
  transactions.receive(
    contact === undefined ? text : text.replace(/Contact: .*/, `Contact: ${contact}`),
    source,
  );
  return transactions.lastSent().request.headers.list('Record-Route');
}

const udpTarget = { uri: 'sip:bob@127.0.0.1:6001' };

describe('Record-Route (RFC 3261 §16.6 step 4)', () => {
  it('is put before those that are there, once where both sides are the same', async () => {
    const values = await recordRoutes(udpTarget);
    expect(values).toHaveLength(2);
    expect(values[0]).toMatch(/^<sip:rr\.[\w-]{12}@127\.0\.0\.1:5060;lr>$/);
    expect(values[1]).toBe('<sip:p1;lr>');
  });

  it.each(['MESSAGE', 'PUBLISH', 'REGISTER'])('is not put into %s, which makes no dialog', async (method) => {
    expect(await recordRoutes(udpTarget, {}, undefined, method)).toEqual(['<sip:p1;lr>']);
  });

  it('is put twice where the transport changes, the side of the callee on top (RFC 5658 §4)', async () => {
    const values = await recordRoutes({ uri: 'sip:bob@127.0.0.1:6001;transport=tcp' });
    expect(values[0]).toMatch(/5060;transport=tcp;lr>$/);
    expect(values[1]).toMatch(/5060;lr>$/);
    expect(values[2]).toBe('<sip:p1;lr>');
  });

  it('names the flow of a caller who speaks to us directly over a connection', async () => {
    const values = await recordRoutes(udpTarget, { protocol: 'tcp', flow: 'tcp|1' });
    expect(values[0]).not.toContain(Buffer.from('tcp|1').toString('base64url'));
    expect(values[1]).toContain(Buffer.from('tcp|1').toString('base64url'));
  });

  it('names the flow of a caller over UDP who asks for it or is not where his Contact says', async () => {
    const flow = Buffer.from('udp|127.0.0.1:5060|127.0.0.1:5070').toString('base64url');
    expect((await recordRoutes(udpTarget, {}, '<sip:a@127.0.0.1:5070;ob>'))[1]).toContain(flow);
    expect((await recordRoutes(udpTarget, {}, '<sip:a@10.1.2.3>'))[1]).toContain(flow);
    expect((await recordRoutes(udpTarget, {}, '<sip:a@127.0.0.1:5070>'))[1]).toBe('<sip:p1;lr>');
  });

  it('names the flow of a callee that is reached over one', async () => {
    const values = await recordRoutes({ uri: 'sip:bob@abc.invalid', flow: 'tcp|9' });
    expect(values[0]).toContain(Buffer.from('tcp|9').toString('base64url'));
    expect(values[0]).toContain(';transport=tcp');
  });

  it('is a SIPS URI on a secured side when the target is one, and a SIP URI on any other side', async () => {
    const values = await recordRoutes({ uri: 'sips:bob@127.0.0.1:6001' });
    expect(values[0]).toMatch(/^<sips:rr\.[\w-]{12}@127\.0\.0\.1:5060;lr>$/);
    expect(values[1]).toMatch(/^<sip:/);
    expect((await recordRoutes({ ...udpTarget, route: ['<sips:127.0.0.1:6001;lr>'] }))[0]).toMatch(/^<sips:/);
  });
});
