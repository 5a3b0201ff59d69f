import { describe, expect, it } from 'vitest';
import { parseListeners, writeListener } from '../../../src/sip/transport/listener-spec.js';

describe('a list of listeners', () => {
  it('gives protocol, address and port, IPv6 in brackets, and the usual port where none is given', () => {
    expect(
      parseListeners('udp:127.0.0.1:5070, tls:[::1]:5071,ws:localhost:8088,tcp:0.0.0.0,tls:[::]'),
    ).toEqual([
      { protocol: 'udp', address: '127.0.0.1', port: 5070 },
      { protocol: 'tls', address: '::1', port: 5071 },
      { protocol: 'ws', address: 'localhost', port: 8088 },
      { protocol: 'tcp', address: '0.0.0.0', port: 5060 },
      { protocol: 'tls', address: '::', port: 5061 },
    ]);
  });

  it('is written as it was read', () => {
    const text = 'udp:127.0.0.1:5070,tls:[::1]:5071';
    expect(parseListeners(text).map(writeListener).join(',')).toBe(text);
  });

  it.each([
    'sctp:127.0.0.1:5060',
    'udp',
    'udp:127.0.0.1:65536',
    'udp:127.0.0.1:http',
    'udp:::1:5060',
    'udp:[127.0.0.1]:5060',
    'udp:[fe80::1',
    'udp:a b:5060',
  ])('with %s is refused, naming it', (text) => {
    expect(() => parseListeners(`udp:127.0.0.1:5060,${text}`)).toThrow(
      expect.objectContaining({ code: 'sip-listener-bad', message: expect.stringContaining(text) as string }),
    );
  });
});
