import { describe, expect, it } from 'vitest';
import { cspStatus, fromPhone, sipStatus, toPhone } from '../../src/gateway/status-map.js';
import { statusTitles, type StatusCode } from '../../src/imps/index.js';

const allCsp = Object.keys(statusTitles).map(Number) as StatusCode[];
const succeeds = (status: number): boolean => status < 300;

describe('statuses between SIP and CSP', () => {
  it('stand once each in their table', () => {
    expect(new Set(toPhone.map(({ sip }) => sip)).size).toBe(toPhone.length);
    expect(new Set(fromPhone.map(({ csp }) => csp)).size).toBe(fromPhone.length);
  });

  it('never make a success of a failure, nor a failure of a success', () => {
    for (let sip = 200; sip < 700; sip++)
      expect([sip, succeeds(cspStatus(sip))]).toEqual([sip, succeeds(sip)]);
    for (const csp of allCsp) expect([csp, succeeds(sipStatus(csp))]).toEqual([csp, succeeds(csp)]);
  });

  it('are ones that Parley has a title for, and final ones that SIP knows', () => {
    for (let sip = 200; sip < 700; sip++) expect(statusTitles).toHaveProperty(String(cspStatus(sip)));
    for (const csp of allCsp) expect(sipStatus(csp)).toSatisfy((sip: number) => sip >= 200 && sip < 700);
  });

  it('come back as they went where both sides have the same thing', () => {
    const same = [400, 403, 405, 415, 500, 501, 503, 504, 505] as const;
    for (const status of same) expect([cspStatus(status), sipStatus(status)]).toEqual([status, status]);
    for (const csp of [200, 531, 432, 533, 538, 901] as const) expect(cspStatus(sipStatus(csp))).toBe(csp);
  });

  it.each([
    [299, 200],
    [302, 901],
    [499, 400],
    [599, 500],
    [699, 538],
  ])('that the table lacks count as their class: %d is %d', (sip, csp) => expect(cspStatus(sip)).toBe(csp));
});
