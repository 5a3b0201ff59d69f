import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LocalNames } from '../../../src/sip/embedded/local-names.js';
import { InboundRequest } from '../../../src/sip/embedded/inbound.js';
import { SipRequest } from '../../../src/sip/message/message.js';
import { Headers } from '../../../src/sip/message/headers.js';
import { RecordRoutes } from '../../../src/sip/proxy/record-route.js';
import { postprocessRoutes, preprocessRoutes } from '../../../src/sip/proxy/route.js';
import type { Source } from '../../../src/sip/stack.js';

const names = new LocalNames(['ims.test']);
names.addListeners([{ protocol: 'udp', address: '127.0.0.1', port: 5060 }]);
const recordRoutes = new RecordRoutes('secret');
const self = { names, recordRoutes };
const end = { protocol: 'udp', host: '127.0.0.1', port: 5060 } as const;
const tcpEnd = { protocol: 'tcp', host: '127.0.0.1', port: 5060 } as const;
const mine = (callId = 'c', flow?: string): string => recordRoutes.value(end, false, callId, flow);
const uriOf = (value: string): string => value.slice(1, -1);

function arrived(uri: string, routes: readonly string[] = [], source: Partial<Source> = {}): InboundRequest {
  const headers = Headers.from({ 'Call-ID': 'c', ...(routes.length > 0 ? { Route: routes } : {}) });
  const request = new InboundRequest(new SipRequest('BYE', uri, headers), {
    protocol: 'udp',
    address: '127.0.0.1',
    port: 5070,
    localAddress: '127.0.0.1',
    localPort: 5060,
    flow: 'udp|a',
    ...source,
  });
  preprocessRoutes(request, self);
  return request;
}

describe('route preprocessing (RFC 3261 §16.4)', () => {
  it('takes our own topmost Route off and shows it', () => {
    const request = arrived('sip:bob@ims.test', ['<sip:orig@ims.test;lr>', '<sip:p2;lr>']);
    expect(request.headers.list('Route')).toEqual(['<sip:p2;lr>']);
    expect(request.ownRoute).toBe('sip:orig@ims.test;lr');
    expect(request.recordRouted).toBe(false);
  });

  it('takes off only one Route, unless both are halves of a double Record-Route', () => {
    expect(arrived('sip:b@x', ['<sip:a@ims.test;lr>', '<sip:b@ims.test;lr>']).headers.list('Route')).toEqual([
      '<sip:b@ims.test;lr>',
    ]);
    const double = arrived('sip:b@x', [mine(), recordRoutes.value(tcpEnd, false, 'c'), '<sip:p;lr>']);
    expect(double.headers.list('Route')).toEqual(['<sip:p;lr>']);
    expect(double.recordRouted).toBe(true);
  });

  it('leaves a Route of somebody else where it is', () => {
    const request = arrived('sip:bob@ims.test', ['<sip:p1;lr>', '<sip:ims.test;lr>']);
    expect(request.headers.list('Route')).toHaveLength(2);
    expect(request.ownRoute).toBeUndefined();
  });

  it('gives a request of a strict router its Request-URI back from the last Route', () => {
    const request = arrived(uriOf(mine()), ['<sip:p1;lr>', '<sip:bob@127.0.0.1:6001>']);
    expect(request.uri).toBe('sip:bob@127.0.0.1:6001');
    expect(request.headers.list('Route')).toEqual(['<sip:p1;lr>']);
    expect(request.recordRouted).toBe(true);
  });

  it('does so for a strict router that leaves only the target in Route', () => {
    const request = arrived(uriOf(mine()), ['<sip:bob@127.0.0.1:6001>']);
    expect(request.uri).toBe('sip:bob@127.0.0.1:6001');
    expect(request.has('Route')).toBe(false);
  });

  it('strips our maddr with port and transport, and keeps one that leads elsewhere', () => {
    expect(arrived('sip:bob@example.com:5060;maddr=127.0.0.1;transport=udp').uri).toBe('sip:bob@example.com');
    const other = 'sip:bob@example.com;maddr=127.0.0.9';
    expect(arrived(other).uri).toBe(other);
    const otherTransport = 'sip:bob@example.com;maddr=127.0.0.1;transport=tcp';
    expect(arrived(otherTransport).uri).toBe(otherTransport);
  });

  it('knows a Record-Route of its own only for its Call-ID and as it was made', () => {
    expect(arrived('sip:b@x', [mine('other')]).recordRouted).toBe(false);
    expect(arrived('sip:b@x', [mine('c', 'tcp|1')]).routeFlow).toBe('tcp|1');
    const forged = mine('c', 'tcp|1').replace(/\.[^.@]+@/, `.${Buffer.from('tcp|2').toString('base64url')}@`);
    expect(arrived('sip:b@x', [forged])).toMatchObject({ recordRouted: false, routeFlow: undefined });
    const stranger = new RecordRoutes('another secret').value(end, false, 'c');
    expect(arrived('sip:b@x', [stranger]).recordRouted).toBe(false);
  });

  it('follows the flow of the far side, not the one that the request came over', () => {
    expect(arrived('sip:b@x', [mine('c', 'udp|a'), mine('c', 'tcp|far')]).routeFlow).toBe('tcp|far');
    expect(arrived('sip:b@x', [mine('c', 'tcp|far'), mine('c', 'udp|a')]).routeFlow).toBeUndefined();
  });
});

describe('route postprocessing (RFC 3261 §16.6 step 6)', () => {
  const build = (uri: string, routes: string[]): SipRequest =>
    new SipRequest('BYE', uri, Headers.from(routes.length > 0 ? { Route: routes } : {}));

  it('goes to the topmost Route, and to the Request-URI without one', () => {
    expect(postprocessRoutes(build('sip:b@x', ['<sip:p1;lr>', '<sip:p2>'])).host).toBe('p1');
    expect(postprocessRoutes(build('sip:b@x', [])).host).toBe('x');
  });

  const host = fc.stringMatching(/^[a-z]{1,8}$/);
  const route = fc.record({ host, loose: fc.boolean() }).map(({ host, loose }) => ({
    text: `<sip:${host}.example${loose ? ';lr' : ''}>`,
    uri: `sip:${host}.example${loose ? ';lr' : ''}`,
    loose,
  }));

  it('loses no URI, whatever the routers', () => {
    fc.assert(
      fc.property(host, fc.array(route, { maxLength: 6 }), (user, routes) => {
        const target = `sip:${user}@target.example`;
        const request = build(
          target,
          routes.map(({ text }) => text),
        );
        const before = [...routes.map(({ uri }) => uri), target].sort();
        const goesTo = postprocessRoutes(request).toString();
        const after = [...request.addresses('Route').map(({ uriText }) => uriText), request.uri].sort();
        expect(after).toEqual(before);
        expect(goesTo).toBe(routes[0]?.uri ?? target);
        // a loose router is on top, a strict one in the Request-URI
        if (routes[0]) expect(request.uri).toBe(routes[0].loose ? target : routes[0].uri);
      }),
    );
  });

  it('and preprocessing at the next proxy bring a request through strict and loose routers to its target', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }), (looseness) => {
        // each router of the route set is this proxy; whether it shows `lr` is up to the case
        const target = 'sip:bob@target.example';
        const routes = looseness.map((loose) => (loose ? mine() : mine().replace(';lr', '')));
        const sent = build(target, routes);
        postprocessRoutes(sent);
        const received = arrived(sent.uri, sent.headers.list('Route'));
        expect([received.uri, received.recordRouted, received.has('Route')]).toEqual([target, true, false]);
      }),
    );
  });
});
