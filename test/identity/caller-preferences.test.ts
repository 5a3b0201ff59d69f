import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  implicitPreferences,
  matchContacts,
  parsePreference,
  type CallerPreferences,
  type Candidate,
  type MatchOptions,
} from '../../src/identity/caller-preferences.js';
import { featureSet } from '../../src/identity/feature-tags.js';
import { InstanceId } from '../../src/identity/instance-id.js';
import { parseParams } from '../../src/sip/message/lexer.js';

const preference = (value: string): ReturnType<typeof parsePreference> =>
  parsePreference(parseParams(value, 1, 'Accept-Contact'));
const preferences = (accept: string[], reject: string[] = []): CallerPreferences => ({
  accept: accept.map(preference),
  reject: reject.map(preference),
  implicit: false,
});
/** `u1;audio;q=0.2` as a candidate named u1. */
const candidate = (text: string): Candidate<string> => {
  const end = text.includes(';') ? text.indexOf(';') : text.length;
  const params = parseParams(text, end, 'Contact');
  return { contact: text.slice(0, end), features: featureSet(params), q: Number(params.get('q') ?? 1) };
};
const kept = (wanted: CallerPreferences, contacts: string[], options?: MatchOptions): string[] =>
  matchContacts(wanted, contacts.map(candidate), options).map(({ contact }) => contact);

describe('the example of RFC 3841 §7.2.5', () => {
  const contacts = [
    'u1;audio;video;methods="INVITE,BYE";q=0.2',
    'u2;audio="FALSE";methods="INVITE";actor="msg-taker";q=0.2',
    'u3;audio;actor="msg-taker";methods="INVITE";video;q=0.3',
    'u4;audio;methods="INVITE,OPTIONS";q=0.2',
    'u5;q=0.5',
  ].map(candidate);
  const wanted = preferences(
    ['*;audio;require', '*;video;explicit', '*;methods="BYE";class="business";q=1.0'],
    ['*;actor="msg-taker";video'],
  );

  it('leaves u5, u1 and u4 in this order', () => {
    const matches = matchContacts(wanted, contacts);
    expect(matches.map(({ contact }) => contact)).toEqual(['u5', 'u1', 'u4']);
  });

  it('gives them the scores 1.0, 0.83 and 0.5', () => {
    const scores = matchContacts(wanted, contacts).map(({ score }) => Number(score.toFixed(2)));
    expect(scores).toEqual([1, 0.83, 0.5]);
  });
});

describe('caller preferences', () => {
  const cpm = '+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"';

  it.each([
    // Accept-Contact, what is kept of: a with audio, b that denies it, c that does not say, d without features
    ['*;audio', ['d', 'a', 'c', 'b']],
    ['*;audio;require', ['d', 'a', 'c']],
    ['*;audio;explicit', ['d', 'a', 'c', 'b']],
    ['*;audio;require;explicit', ['d', 'a']],
    ['*;require;explicit', ['a', 'b', 'c', 'd']],
    ['*', ['a', 'b', 'c', 'd']],
  ])('%s keeps %j in this order', (accept, expected) => {
    const contacts = ['a;audio', 'b;audio="FALSE"', 'c;video', 'd'];
    expect(kept(preferences([accept]), contacts).sort()).toEqual([...expected].sort());
    const scored = matchContacts(preferences([accept]), contacts.map(candidate));
    for (const [i, match] of scored.entries()) {
      expect(scored[i + 1]?.score ?? 0).toBeLessThanOrEqual(match.score);
    }
  });

  it('reject only what a contact says of itself', () => {
    const contacts = ['a;audio', 'b;audio;automata', 'c;automata="FALSE"', 'd'];
    expect(kept(preferences([], ['*;automata']), contacts)).toEqual(['a', 'c', 'd']);
  });

  it('order by the callee first and by fit only among equals', () => {
    const contacts = ['low;audio;video;q=0.1', 'half;audio;q=0.5', 'fit;audio;video;q=0.5'];
    expect(kept(preferences(['*;audio;video']), contacts)).toEqual(['fit', 'half', 'low']);
  });

  it('ring only devices that registered the CPM session tag when it is required', () => {
    const contacts = [
      `a;audio;${cpm}`,
      'b;audio',
      'c;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel"',
    ];
    expect(kept(preferences([`*;${cpm};require;explicit`]), contacts)).toEqual(['a']);
  });

  it('pass over a contact without features, unless immunity is off (RFC 3841 §7.2.3)', () => {
    const wanted = preferences([`*;${cpm};require;explicit`]);
    expect(kept(wanted, ['a'])).toEqual(['a']);
    expect(kept(wanted, ['a'], { immunity: false })).toEqual([]);
  });

  describe('that name an instance', () => {
    const one = '+sip.instance="<urn:gsma:imei:35824005-111111-0>"';
    const contacts = [
      'imei;+sip.instance="<urn:gsma:imei:35824005-111111-7>";audio',
      'uuid;+sip.instance="<urn:uuid:3f1c9d52-7e0a-4b6e-9c1d-2f5a8e7b6c40>";audio',
      'plain;audio',
      'bare',
    ];

    it('keep that device alone, with or without require and explicit', () => {
      expect(kept(preferences([`*;${one};require;explicit`]), contacts)).toEqual(['imei']);
      expect(kept(preferences([`*;${one}`]), contacts)).toEqual(['imei']);
      expect(kept(preferences(['*;audio', `*;${one}`]), contacts)).toEqual(['imei']);
    });

    it('keep every device of several that are named', () => {
      const other = '+sip.instance="<urn:UUID:3F1C9D52-7e0a-4b6e-9c1d-2f5a8e7b6c40>"';
      expect(kept(preferences([`*;${one}`, `*;${other}`]), contacts)).toEqual(['imei', 'uuid']);
    });

    it('are a wish like any other when the standard way is chosen', () => {
      const standard = kept(preferences([`*;${one}`]), contacts, { strictInstance: false });
      expect([...standard].sort()).toEqual(['bare', 'imei', 'plain', 'uuid']);
    });

    it('find a device by the name under which its hardware identity is hidden', () => {
      const alias = InstanceId.fromUrn('urn:uuid:6ca759e8-d1b1-5dee-95f9-e36d2aca6bcf').key;
      const devices = contacts.map(candidate).map((device) => ({
        ...device,
        ...(device.contact === 'imei' && { alias }),
      }));
      const wanted = preferences([
        '*;+sip.instance="<urn:uuid:6CA759E8-d1b1-5dee-95f9-e36d2aca6bcf>";require;explicit',
      ]);
      expect(matchContacts(wanted, devices).map(({ contact }) => contact)).toEqual(['imei']);
    });
  });
});

describe('implicit preferences (RFC 3841 §7.2.2)', () => {
  it('keep devices that know the method and those that do not say', () => {
    const contacts = ['a;methods="INVITE,BYE"', 'b;methods="MESSAGE"', 'c;audio', 'd'];
    expect(kept(implicitPreferences('MESSAGE'), contacts)).toEqual(['b', 'd', 'c']);
  });

  it('ask for the event package of a subscription', () => {
    const contacts = ['a;events="presence"', 'b;events="conference"'];
    expect(kept(implicitPreferences('SUBSCRIBE', 'conference'), contacts)).toEqual(['b']);
  });

  it('are dropped when no contact meets them, so that a device can answer 405', () => {
    const contacts = ['a;methods="INVITE";q=0.1', 'b;methods="INVITE";q=0.9'];
    expect(kept(implicitPreferences('MESSAGE'), contacts)).toEqual(['b', 'a']);
  });
});

describe('matching', () => {
  const tag = fc.constantFrom('audio', 'video', 'methods', 'class', '+sip.instance', '+g.3gpp.icsi-ref');
  const value = fc.constantFrom(null, 'TRUE', '"FALSE"', '"a,b"', '"!a"', '"#>=1"', '"<urn:x-a:1>"', '""');
  const params = fc.array(fc.tuple(tag, value), { maxLength: 4 });
  const anyPreference = fc
    .tuple(params, fc.boolean(), fc.boolean())
    .map(([list, require, explicit]) => ({ ...parsePreference(list), require, explicit }));
  const anyCandidates = fc
    .array(fc.tuple(params, fc.constantFrom(0, 0.5, 1)), { maxLength: 5 })
    .map((list) => list.map(([own, q], contact) => ({ contact, features: featureSet(own), q })));

  it('keeps some of the contacts, each once, sorted by q and then by a score from 0 to 1', () => {
    fc.assert(
      fc.property(fc.array(anyPreference), fc.array(anyPreference), anyCandidates, (accept, reject, list) => {
        const matches = matchContacts({ accept, reject, implicit: false }, list);
        expect(new Set(matches.map(({ contact }) => contact)).size).toBe(matches.length);
        for (const [i, { q, score }] of matches.entries()) {
          expect(score).toBeGreaterThanOrEqual(0);
          expect(score).toBeLessThanOrEqual(1);
          const next = matches[i + 1];
          if (next) expect(q > next.q || (q === next.q && score >= next.score)).toBe(true);
        }
      }),
    );
  });

  it('never keeps more contacts when a preference is added', () => {
    fc.assert(
      fc.property(fc.array(anyPreference), anyPreference, anyCandidates, (accept, more, list) => {
        const before = matchContacts({ accept, reject: [], implicit: false }, list, {
          strictInstance: false,
        });
        const after = matchContacts({ accept: [...accept, more], reject: [], implicit: false }, list, {
          strictInstance: false,
        });
        const names = new Set(before.map(({ contact }) => contact));
        expect(after.every(({ contact }) => names.has(contact))).toBe(true);
      }),
    );
  });
});
