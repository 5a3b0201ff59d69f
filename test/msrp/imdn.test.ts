import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/clock.js';
import { ParleyError } from '../../src/base/errors.js';
import { parseCpim } from '../../src/msrp/cpim/index.js';
import { formatImdn, formatImdnAggregate, imdnRequestOf, isImdn, parseImdn } from '../../src/msrp/imdn.js';
import { ComposingReceiver, formatIsComposing, parseIsComposing } from '../../src/msrp/is-composing.js';
import { fixture } from './tools/messages.js';

const imdn = (inner: string): Buffer =>
  Buffer.from(`<imdn xmlns="urn:ietf:params:xml:ns:imdn">${inner}</imdn>`);
const cpim = (fields: string, type = 'text/plain') =>
  parseCpim(Buffer.from(`${fields}\n\nContent-Type: ${type}\n\n`.replaceAll('\n', '\r\n'))).head;

describe('an IMDN', () => {
  it('is read as RFC 5438 §7.2.1.1 writes it', () => {
    expect(parseImdn(fixture('imdn/rfc5438-7.2.1.1.dat'))).toEqual({
      messageId: '34jk324j',
      dateTime: '2008-04-04T12:16:49-05:00',
      recipientUri: 'im:bob@example.com',
      originalRecipientUri: 'im:bob@example.com',
      subject: undefined,
      kind: 'delivery',
      status: 'delivered',
    });
  });

  it('is written as one that says the same', () => {
    const notification = {
      messageId: 'a<b&"c',
      dateTime: '2026-11-21T01:10:00.000Z',
      recipientUri: 'sip:bob@home1.net',
      originalRecipientUri: undefined,
      subject: undefined,
      kind: 'display',
      status: 'displayed',
    } as const;
    const document = formatImdn(notification);
    expect(document).toContain('<message-id>a&lt;b&amp;&quot;c</message-id>');
    expect(parseImdn(Buffer.from(document))).toEqual(notification);
  });

  it('is read with a prefix on its elements', () => {
    const document =
      '<i:imdn xmlns:i="urn:ietf:params:xml:ns:imdn"><i:message-id>1</i:message-id><i:processing-notification><i:status><i:stored/></i:status></i:processing-notification></i:imdn>';
    expect(parseImdn(Buffer.from(document))).toMatchObject({ kind: 'processing', status: 'stored' });
  });

  it.each([
    ['entities', Buffer.from('<!DOCTYPE imdn [<!ENTITY a "b">]><imdn xmlns="urn:ietf:params:xml:ns:imdn"/>')],
    ['no XML', Buffer.from('hello')],
    ['another root', Buffer.from('<a xmlns="urn:ietf:params:xml:ns:imdn"/>')],
    ['another namespace', Buffer.from('<imdn xmlns="urn:x"><message-id>1</message-id></imdn>')],
    ['no message-id', imdn('<delivery-notification><status><delivered/></status></delivery-notification>')],
    ['no notification', imdn('<message-id>1</message-id>')],
    [
      'the status of another notification',
      imdn(
        '<message-id>1</message-id><display-notification><status><delivered/></status></display-notification>',
      ),
    ],
    ['elements nested without end', imdn('<a>'.repeat(50) + '</a>'.repeat(50))],
    ['elements that do not close', imdn('<message-id>')],
    ['64 KiB and more', Buffer.alloc(70_000, ' ')],
  ])('is refused with %s', (_what, octets) => {
    expect(() => parseImdn(octets)).toThrow(ParleyError);
  });

  it('is asked for by Disposition-Notification (RFC 5438 §6.2)', () => {
    const { head } = parseCpim(fixture('cpim/rfc5438-request.dat'));
    expect(imdnRequestOf(head)).toEqual({
      messageId: '34jk324j',
      positiveDelivery: true,
      negativeDelivery: true,
      processing: false,
      display: false,
      recordRoutes: [],
      originalTo: undefined,
    });
  });

  it('cannot ask for another one (RFC 5438 §7.2.1)', () => {
    const head = cpim(
      'From: <im:a@b>\nimdn.Message-ID: 1\nimdn.Disposition-Notification: display',
      'message/imdn+xml',
    );
    expect(isImdn(head)).toBe(true);
    expect(imdnRequestOf(head)!.display).toBe(false);
  });

  it('goes back through those that recorded a route (RFC 5438 §8.1)', () => {
    const head = cpim(
      'From: <im:a@b>\nimdn.Message-ID: 1\nimdn.IMDN-Record-Route: <sip:x@y>\nimdn.IMDN-Record-Route: <sip:z@y>',
    );
    expect(imdnRequestOf(head)!.recordRoutes).toEqual(['<sip:x@y>', '<sip:z@y>']);
  });

  it('may share a message with others (RFC 5438 §8.3)', () => {
    const one = parseImdn(fixture('imdn/rfc5438-7.2.1.1.dat'));
    const parts = formatImdnAggregate([one, one], 'imdn-boundary').split('--imdn-boundary');
    expect(parts.length).toBe(4);
    expect(parts[3]).toBe('--\r\n');
    expect(parseImdn(Buffer.from(parts[2]!.split('\r\n\r\n')[1]!))).toEqual(one);
  });
});

describe('isComposing', () => {
  it('is read as RFC 3994 §5 writes it', () => {
    expect(parseIsComposing(fixture('imdn/rfc3994-5-active.dat'))).toEqual({
      state: 'active',
      lastActive: undefined,
      contentType: 'text/plain',
      refresh: 90,
    });
    expect(parseIsComposing(fixture('imdn/rfc3994-5-idle.dat'))).toMatchObject({
      state: 'idle',
      lastActive: '2003-01-27T10:43:00Z',
      contentType: 'audio',
    });
  });

  it('is written as one that says the same', () => {
    const status = {
      state: 'active',
      lastActive: undefined,
      contentType: 'text/plain',
      refresh: 60,
    } as const;
    expect(parseIsComposing(Buffer.from(formatIsComposing(status)))).toEqual(status);
  });

  it('counts an unknown state as idle (RFC 3994 §3.5) and refuses a refresh of zero', () => {
    const document = (inner: string) =>
      Buffer.from(`<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing">${inner}</isComposing>`);
    expect(parseIsComposing(document('<state>dreaming</state>')).state).toBe('idle');
    expect(() => parseIsComposing(document('<state>active</state><refresh>0</refresh>'))).toThrow(
      ParleyError,
    );
    expect(() => parseIsComposing(document('<refresh>60</refresh>'))).toThrow(ParleyError);
  });

  it('ends with idle, with content, or when the refresh interval passes (RFC 3994 §3.3)', () => {
    const clock = new VirtualClock();
    const seen: string[] = [];
    const receiver = new ComposingReceiver(clock, (state) => seen.push(state));
    receiver.status({ state: 'active' });
    clock.advance(119_900);
    expect(seen).toEqual(['active']);
    clock.advance(200);
    expect(seen).toEqual(['active', 'idle']);
    receiver.status({ state: 'active', refresh: 60 });
    receiver.status({ state: 'active', refresh: 60 });
    receiver.content();
    receiver.status({ state: 'active', refresh: 60 });
    receiver.status({ state: 'idle' });
    expect(seen.slice(2)).toEqual(['active', 'idle', 'active', 'idle']);
    expect(clock.pending).toBe(0);
  });
});
