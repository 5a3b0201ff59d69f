import { describe, expect, it } from 'vitest';
import { cspStatus, fromPhone, sipStatus, toPhone } from '../../src/gateway/status-map.js';
import { statusTitles, type StatusCode } from '../../src/imps/index.js';

const allCsp = Object.keys(statusTitles).map(Number) as StatusCode[];
/** Final ones of the registry of SIP response codes (IANA, RFC 3261 §21 and its extensions). */
const finalSip = [
  ...[200, 202, 204, 300, 301, 302, 305, 380],
  ...[
    400, 401, 402, 403, 404, 405, 406, 407, 408, 410, 412, 413, 414, 415, 416, 417, 420, 421, 422, 423, 424,
    425,
  ],
  ...[
    428, 429, 430, 433, 436, 437, 438, 439, 440, 469, 470, 480, 481, 482, 483, 484, 485, 486, 487, 488, 489,
  ],
  ...[491, 493, 494, 500, 501, 502, 503, 504, 505, 513, 555, 580, 600, 603, 604, 606, 607, 608],
];
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

  it('have a row for each final one of SIP, and for each of CSP, and none for others', () => {
    expect(toPhone.map(({ sip }) => sip)).toEqual(finalSip);
    expect(fromPhone.map(({ csp }) => csp)).toEqual(allCsp);
    for (const { csp } of toPhone) expect(allCsp).toContain(csp);
    for (const { sip } of fromPhone) expect(finalSip).toContain(sip);
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
