import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { answerStun, isStun } from '../../../src/sip/transport/stun.js';
import { startServer } from './bench.js';

/** Header and transaction ID of the sample request in RFC 5769 §2.1. */
const header = '2112a442b7e7a701bc34d686fa87dfae';
const request = (attributes = ''): Buffer =>
  Buffer.from(`0001${(attributes.length / 2).toString(16).padStart(4, '0')}${header}${attributes}`, 'hex');

describe('a STUN Binding request', () => {
  it('is answered with the XOR-MAPPED-ADDRESS of RFC 5769 §2.2 for IPv4', () => {
    const answer = answerStun(request(), '192.0.2.1', 32_853);
    expect(answer?.toString('hex')).toBe(`0101000c${header}002000080001a147e112a643`);
  });

  it('is answered with the XOR-MAPPED-ADDRESS of RFC 5769 §2.3 for IPv6', () => {
    const answer = answerStun(request(), '2001:db8:1234:5678:11:2233:4455:6677', 32_853);
    expect(answer?.toString('hex')).toBe(`01010018${header}002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9`);
  });

  it('is answered 420 with the list when it asks for what must be understood and is not (RFC 5389 §7.3.1)', () => {
    // CHANGE-REQUEST of RFC 5780, and SOFTWARE, which may be ignored
    const answer = answerStun(request('000300040000000080220004616263 64'.replace(' ', '')), '192.0.2.1', 1);
    expect(answer?.toString('hex')).toBe(`01110010${header}0009000400000414000a000200030000`);
  });

  it.each([
    ['an indication', Buffer.from(`00110000${header}`, 'hex')],
    ['a response', Buffer.from(`01010000${header}`, 'hex')],
    ['a length that does not fit', Buffer.from(`00010004${header}`, 'hex')],
    ['an attribute that does not fit', request('80220008616263 64'.replace(' ', ''))],
  ])('is not answered when it is %s', (_what, data) => {
    expect(answerStun(data, '192.0.2.1', 1)).toBeUndefined();
  });

  it('is not taken for SIP, nor SIP for it', () => {
    expect(isStun(request())).toBe(true);
    expect(isStun(Buffer.from('REGISTER sip:ims.test SIP/2.0\r\n'))).toBe(false);
    expect(isStun(Buffer.from(`00010000${header.replace('2112', '2113')}`, 'hex'))).toBe(false);
  });

  it('keeps a flow alive on the SIP port (RFC 5626 §8)', async () => {
    const server = await startServer('udp:127.0.0.1:0');
    const phone = createSocket('udp4').bind(0, '127.0.0.1');
    await once(phone, 'listening');
    phone.send(request(), server.port('udp'), '127.0.0.1');
    const [answer] = (await once(phone, 'message')) as [Buffer];
    expect(answer.readUInt16BE(26) ^ 0x2112).toBe(phone.address().port);
    phone.close();
    await server.close();
  });
});
