import { describe, expect, it } from 'vitest';
import { Headers } from '../../../src/sip/message/headers.js';
import { SipRequest } from '../../../src/sip/message/message.js';
import { parseVia } from '../../../src/sip/message/via.js';
import type { Source } from '../../../src/sip/stack.js';
import { stampVia } from '../../../src/sip/transport/stamp.js';

const source: Source = {
  protocol: 'udp',
  address: '192.0.2.7',
  port: 5999,
  localAddress: '192.0.2.1',
  localPort: 5060,
  flow: 'f',
};

function stamped(via: readonly string[]): string[] {
  const request = new SipRequest('INVITE', 'sip:a@b', Headers.from({ Via: via }));
  stampVia(request, request.via, source);
  return request.headers.lines('Via');
}

const proxy = 'SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKp';
const phone = 'SIP/2.0/UDP 10.9.9.9;branch=z9hG4bKu;rport=1;received=10.1.1.1';

describe('the stamp on the topmost Via (RFC 3261 §18.2.1, RFC 3581 §4)', () => {
  it.each([
    ['an empty rport', `${proxy};rport`, `${proxy};rport=5999;received=192.0.2.7`],
    ['no rport', proxy, `${proxy};received=192.0.2.7`],
    ['a received of its own', `${proxy};received=9.9.9.9`, `${proxy};received=192.0.2.7`],
  ])('with %s leaves the other Via fields as they were', (_what, before, after) => {
    expect(stamped([before, phone])).toEqual([after, phone]);
    expect(stamped([`${before}, ${phone}`])).toEqual([`${after}, ${phone}`]);
  });

  it.each([`${proxy};rport`, `${proxy};rport;x=1`, `${proxy};received=9.9.9.9;rport`, proxy])(
    'reads as it is written: %s',
    (before) => {
      const request = new SipRequest('INVITE', 'sip:a@b', Headers.from({ Via: before }));
      stampVia(request, request.via, source);
      const { params } = parseVia(request.get('Via')!);
      expect(Object.fromEntries(request.via.params)).toEqual(Object.fromEntries(params));
      expect(params.get('received')).toBe(source.address);
    },
  );
});
