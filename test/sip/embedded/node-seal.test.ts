import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { NodeSeal } from '../../../src/sip/embedded/node-seal.js';
import type { SipRequest } from '../../../src/sip/message/message.js';
import { serverRequest } from '../../tools/sip-request.js';

const there = { protocol: 'udp', address: '192.0.2.2', port: 5060 } as const;

function seals(key = Buffer.alloc(16, 1)): { clock: VirtualClock; seal: NodeSeal } {
  const clock = new VirtualClock();
  const isNode = ({ address, port }: { address: string; port: number }): boolean =>
    address === '192.0.2.2' && port === 5060;
  return { clock, seal: new NodeSeal({ key, isNode }, clock) };
}

const message = (): SipRequest =>
  serverRequest('MESSAGE sip:bob@192.0.2.9 SIP/2.0', {
    'P-Asserted-Identity': '<sip:alice@ims.test>',
    Route: '<sip:rr.x@192.0.2.2;lr>',
  });

const FIELD = 'Parley-Node-Seal';

describe('a request that one node sends to another', () => {
  it('is vouched for, once its seal is off again', () => {
    const { seal } = seals();
    const request = message();
    seal.put(request, there);
    expect(request.has(FIELD)).toBe(true);
    expect(seal.take(request)).toBe(true);
    expect(request.has(FIELD)).toBe(false);
  });

  it('is not sealed when it goes to anybody else', () => {
    const { seal } = seals();
    const request = message();
    seal.put(request, { ...there, port: 5062 });
    expect(request.has(FIELD)).toBe(false);
  });

  it.each([
    ['another identity', (one: SipRequest) => one.headers.set('P-Asserted-Identity', '<sip:eve@ims.test>')],
    ['a served user', (one: SipRequest) => one.headers.set('P-Served-User', '<sip:eve@ims.test>')],
    ['another target', (one: SipRequest) => void (one.uri = 'sip:carol@ims.test')],
    ['another Route', (one: SipRequest) => one.headers.remove('Route')],
    ['another CSeq', (one: SipRequest) => one.headers.set('CSeq', '2 MESSAGE')],
    ['another time', (one: SipRequest) => one.headers.set(FIELD, `0.${one.get(FIELD)!.split('.')[1]}`)],
    ['no signature', (one: SipRequest) => one.headers.set(FIELD, one.get(FIELD)!.split('.')[0]!)],
  ])('with %s under the same seal is not believed, and the seal goes', (_, change) => {
    const { seal } = seals();
    const request = message();
    seal.put(request, there);
    change(request);
    expect(seal.take(request)).toBe(false);
    expect(request.has(FIELD)).toBe(false);
  });

  it('is not believed later than a minute, nor under the key of another server', () => {
    const { seal, clock } = seals();
    const [late, foreign] = [message(), message()];
    seal.put(late, there);
    clock.advance(60_010);
    expect(seal.take(late)).toBe(false);
    seals(Buffer.alloc(16, 2)).seal.put(foreign, there);
    expect(seal.take(foreign)).toBe(false);
  });
});
