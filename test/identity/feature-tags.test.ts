import { describe, expect, it } from 'vitest';
import { cpmService, cpmServices, rcsApplications } from '../../src/identity/cpm-services.js';
import { featureSet, hasIari, hasIcsi, ICSI_REF, referenceValue } from '../../src/identity/feature-tags.js';
import { featureFilters, filtersMeet } from '../../src/identity/feature-values.js';
import { parseParams } from '../../src/sip/message/lexer.js';

const features = (text: string): Map<string, string | true> =>
  new Map(featureSet(parseParams(text, 0, 'Contact')));

describe('a feature set', () => {
  it('holds base tags and tags with a plus sign, and no other parameter (RFC 3841 §7.2.3)', () => {
    const set = features(
      ';audio;video;mobility="fixed";+sip.message="TRUE";other-param=66372;q=0.5;expires=60;reg-id=1' +
        ';methods="INVITE,OPTIONS,BYE,CANCEL,ACK";schemes="sip,http"',
    );
    expect([...set]).toEqual([
      ['audio', true],
      ['video', true],
      ['mobility', 'fixed'],
      ['+sip.message', 'TRUE'],
      ['methods', 'INVITE,OPTIONS,BYE,CANCEL,ACK'],
      ['schemes', 'sip,http'],
    ]);
  });

  it('names its tags in lower case', () => {
    expect([...features(';AUDIO;+SIP.Instance="<urn:x-a:1>"')]).toEqual([
      ['audio', true],
      ['+sip.instance', '<urn:x-a:1>'],
    ]);
  });

  it('is not read from a field that has a tag twice (RFC 3261 §7.3.1)', () => {
    expect(() => features(';audio;AUDIO="FALSE"')).toThrow('parameter audio twice');
  });

  it('lets a base tag hide its double with a plus sign', () => {
    expect([...features(';+video="FALSE";video')]).toEqual([['video', true]]);
  });

  it('resolves escapes of a quoted value', () => {
    expect(features(String.raw`;description="<a \"b\" \\>"`).get('description')).toBe(String.raw`<a "b" \>`);
  });
});

describe('two feature values', () => {
  it.each([
    // tag, one, other, whether they meet
    ['audio', true, true, true],
    ['audio', true, 'TRUE', true],
    ['audio', true, 'FALSE', false],
    ['mobility', 'fixed', 'FIXED', true],
    ['mobility', 'fixed', 'mobile', false],
    ['methods', 'BYE', 'INVITE,OPTIONS', false],
    ['methods', 'BYE', 'INVITE,BYE', true],
    ['events', '!presence,message-summary', 'presence', false],
    ['events', '!presence,message-summary', 'conference', true],
    ['events', '!presence', '!conference', true],
    ['description', '<PC>', '<PC>', true],
    ['description', '<PC>', '<pc>', false],
    ['description', '<PC>', 'PC', false],
    ['+rangeparam', '#-4:+5.125', '#=5', true],
    ['+rangeparam', '#-4:+5.125', '#=5.126', false],
    ['+rangeparam', '#>=4', '#<=4', true],
    ['+rangeparam', '#>=4', '#<=3.9', false],
    ['+rangeparam', '!#>=4', '#=4', false],
    ['+rangeparam', '!#>=4', '#3:5', true],
    ['+rangeparam', '#=4', '4', false],
    ['+rangeparam', '#many', '#MANY', true],
    ['+g.gsma.rcs.botversion', '#=1,#=2', '#=2', true],
    [
      '+g.3gpp.icsi-ref',
      'urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session',
      'urn:urn-7:3gpp-service.ims.icsi.mmtel, URN:urn-7:3gpp-service.ims.icsi.OMA.cpm.session',
      true,
    ],
    [
      '+g.3gpp.icsi-ref',
      'urn%3aurn-7%3a3gpp-service.ims.icsi.oma.cpm.msg',
      'urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session;urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg',
      true,
    ],
    [
      '+g.3gpp.icsi-ref',
      'urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg',
      'urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg.group',
      false,
    ],
    ['+g.3gpp.icsi-ref', '<urn:urn-7:x>', 'urn%3Aurn-7%3Ax', true],
    ['+g.3gpp.icsi-ref', '!urn:urn-7:x', 'urn%3Aurn-7%3Ax', false],
    ['+g.3gpp.icsi-ref', '', 'urn%3Aurn-7%3Ax', false],
    ['+sip.instance', '<urn:gsma:imei:35824005-111111-0>', '<URN:gsma:imei:358240051111110>', true],
    ['+sip.instance', '<urn:gsma:imei:35824005-111111-0>', '<urn:gsma:imei:35824005-111112-0>', false],
    ['+sip.instance', '!<urn:x-a:1>', '<urn:x-a:1>', false],
    ['+sip.instance', 'no urn', 'no urn', true],
  ] as const)('of %s, %s and %s: meet is %s', (tag, one, other, expected) => {
    const [a, b] = [featureFilters(tag, one), featureFilters(tag, other)];
    expect([filtersMeet(a, b), filtersMeet(b, a)]).toEqual([expected, expected]);
  });
});

describe('communication services', () => {
  const set = features(
    ';+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg,urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"' +
      ';+g.3gpp.iari-ref="urn%3Aurn-7%3A3gpp-application.ims.iari.rcs.geopush"',
  );

  it('are found in the list of a device', () => {
    expect(hasIcsi(set, cpmServices.session)).toBe(true);
    expect(hasIcsi(set, cpmServices.groupSession)).toBe(false);
    expect(hasIcsi(features(';audio;+g.3gpp.icsi-ref'), cpmServices.session)).toBe(false);
    expect(hasIari(set, rcsApplications.geolocationPush)).toBe(true);
    expect(hasIari(set, rcsApplications.chat)).toBe(false);
  });

  it('are not supported by a device that negates them', () => {
    expect(hasIcsi(features(`;+g.3gpp.icsi-ref="!${cpmServices.session}"`), cpmServices.session)).toBe(false);
  });

  it('are written as devices write them', () => {
    expect(referenceValue([cpmServices.message, cpmServices.session])).toBe(
      'urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg,urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session',
    );
    const written = new Map([[ICSI_REF, referenceValue([cpmServices.deferred])]]);
    expect(hasIcsi(written, cpmServices.deferred)).toBe(true);
  });

  it('are recognised in P-Preferred-Service in any case, and others are not', () => {
    expect(cpmService('urn:urn-7:3gpp-service.ims.icsi.OMA.cpm.largemsg')).toBe(cpmServices.largeMessage);
    expect(cpmService('urn:urn-7:3gpp-service.ims.icsi.mmtel')).toBeUndefined();
  });
});
