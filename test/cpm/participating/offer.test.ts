import { describe, expect, it } from 'vitest';
import { laterMsrpOffers, msrpOffer } from '../../../src/cpm/participating/offer.js';
import { Headers } from '../../../src/sip/message/headers.js';
import { SipRequest } from '../../../src/sip/message/message.js';
import { offer } from './session-world.js';

const path = (port: number): string => `a=path:msrp://127.0.0.1:${port}/9fA1kq0Zr3;tcp`;
const invite = (sdp: string): SipRequest =>
  new SipRequest(
    'INVITE',
    'sip:bob@ims.test',
    Headers.from({ 'Content-Type': 'application/sdp' }),
    Buffer.from(sdp),
  );

describe('the offer of an invitation', () => {
  it('is read once, however many look at it and its copies', () => {
    const request = invite(offer([path(20000)]));
    const read = msrpOffer(request);
    expect(read?.first.port).toBe(20000);
    expect(msrpOffer(request)).toBe(read);
    expect(msrpOffer(request.clone())).toBe(read);
  });

  it('is read again when the body is another one', () => {
    const request = invite(offer([path(20000)]));
    msrpOffer(request);
    request.body = Buffer.from(offer([path(20002), 'm=message 20004 TCP/MSRP *', path(20004)]));
    expect(msrpOffer(request)?.first.path[0]?.port).toBe(20002);
  });

  it('holds all sections that are not refused, and the first one whether or not it is', () => {
    const refused = invite(
      offer([path(20000), 'm=message 20004 TCP/MSRP *', path(20004)]).replace(
        'm=message 20000',
        'm=message 0',
      ),
    );
    const { first, sections } = msrpOffer(refused)!;
    expect(first.port).toBe(0);
    expect(sections.map(({ port }) => port)).toEqual([20004]);
    expect(sections).toEqual(laterMsrpOffers(refused));
  });

  it('is none without a body, and where only other media are offered', () => {
    expect(msrpOffer(invite(''))).toBeUndefined();
    expect(
      msrpOffer(invite('v=0\r\no=- 1 1 IN IP4 a\r\ns=-\r\nt=0 0\r\nm=audio 1 RTP/AVP 0\r\n')),
    ).toBeUndefined();
  });
});
