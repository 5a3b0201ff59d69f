import { networkInterfaces } from 'node:os';
import { describe, expect, it } from 'vitest';
import type { NextHop } from '../../../src/sip/transaction/layer.js';
import { parseListeners } from '../../../src/sip/transport/listener-spec.js';
import { LocalEnds } from '../../../src/sip/transport/local-ends.js';

const hop = (protocol: NextHop['protocol'], address: string): NextHop => ({ protocol, address, port: 5060 });
const ends = (listen: string, advertised?: string): LocalEnds =>
  new LocalEnds(parseListeners(listen), advertised);

describe('what peers are told of us', () => {
  const listen = 'udp:192.0.2.1:5060,tcp:192.0.2.1:5070,udp:[2001:db8::1]:5080';

  it('is the listener of the same protocol and IP version', () => {
    expect(ends(listen).towards(hop('tcp', '192.0.2.9'))).toEqual({
      protocol: 'tcp',
      host: '192.0.2.1',
      port: 5070,
    });
    expect(ends(listen).towards(hop('udp', '2001:db8::9'))).toEqual({
      protocol: 'udp',
      host: '[2001:db8::1]',
      port: 5080,
    });
  });

  it('is another listener of the same IP version where the protocol has none', () => {
    expect(ends(listen).towards(hop('tls', '192.0.2.9'))?.port).toBe(5060);
    expect(ends(listen).towards(hop('tcp', '2001:db8::9'))?.port).toBe(5080);
  });

  it('is the name that is advertised instead of any address', () => {
    expect(ends('udp:0.0.0.0:5060', 'sip.ims.test').towards(hop('udp', '192.0.2.9'))?.host).toBe(
      'sip.ims.test',
    );
  });

  it('is loopback to peers on loopback when listening on all addresses', () => {
    expect(ends('udp:0.0.0.0:5060').towards(hop('udp', '127.0.0.1'))?.host).toBe('127.0.0.1');
    expect(ends('udp:[::]:5060').towards(hop('udp', '::1'))?.host).toBe('[::1]');
  });

  it('is an address of this machine to other peers when listening on all addresses', () => {
    const own = Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map((one) => one.address));
    expect(own).toContain(ends('udp:0.0.0.0:5060').towards(hop('udp', '192.0.2.9'))?.host);
  });

  it('is nothing without listeners', () => {
    expect(ends('').towards(hop('udp', '192.0.2.9'))).toBeUndefined();
  });
});
