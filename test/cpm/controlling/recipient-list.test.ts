import { describe, expect, it } from 'vitest';
import { ParleyError } from '../../../src/base/errors.js';
import { formatRecipientHistory, parseRecipientList } from '../../../src/cpm/controlling/recipient-list.js';
import type { Recipient } from '../../../src/cpm/controlling/recipient.js';

const SELF = 'sip:alice@home1.net';

function list(entries: string, limit = 20, methods?: readonly ('INVITE' | 'BYE')[]): Recipient[] {
  const document =
    '<?xml version="1.0" encoding="UTF-8"?>\r\n<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists" ' +
    `xmlns:cp="urn:ietf:params:xml:ns:copycontrol"><list>${entries}</list></resource-lists>`;
  return parseRecipientList(Buffer.from(document), { self: SELF, limit, ...(methods && { methods }) });
}

function refusal(action: () => unknown): { code: string; sip: number } {
  try {
    action();
  } catch (error) {
    if (error instanceof ParleyError) return { code: error.code, sip: error.sip };
    throw error;
  }
  throw new Error('it was accepted');
}

describe('a recipient list', () => {
  it('names each recipient once, as openly as any of its entries says', () => {
    const [bob, ...others] = list(
      '<entry uri="sip:bob@home1.net"/><entry uri="sip:bob@HOME1.net" cp:copyControl="cc"/>' +
        '<entry uri="sip:bob@home1.net;gr=x" cp:copyControl="to"/>',
    );
    expect(bob).toMatchObject({ identity: 'sip:bob@home1.net', copyControl: 'to' });
    expect(others).toEqual([]);
  });

  it('loses nothing that one of two entries of a user says', () => {
    const [device, session] = ['sip:bob@home1.net;gr=urn:uuid:1', 'c11'];
    const entries = [
      `<entry uri="sip:bob@home1.net?Session-Replaces=${session}" cp:copyControl="cc"/>`,
      `<entry uri="${device}" cp:copyControl="to" cp:anonymize="true"/>`,
    ];
    for (const both of [entries, entries.toReversed()])
      expect(list(both.join(''))).toMatchObject([
        { target: device, sessionReplaces: session, copyControl: 'to', anonymize: true },
      ]);
  });

  it('takes a recipient without copyControl for bcc', () => {
    expect(list('<entry uri="sip:bob@home1.net"/>')[0]!.copyControl).toBe('bcc');
  });

  it('understands the attribute without a prefix, as clients write it', () => {
    expect(list('<entry uri="sip:bob@home1.net" copyControl="to"/>')[0]!.copyControl).toBe('to');
  });

  it('leaves the creator out', () => {
    expect(
      list('<entry uri="sip:alice@home1.net"/><entry uri="sip:bob@home1.net"/>').map((one) => one.identity),
    ).toEqual(['sip:bob@home1.net']);
  });

  it('is refused with 403 when it names nobody but the creator', () => {
    expect(refusal(() => list('<entry uri="sip:alice@home1.net"/>'))).toEqual({
      code: 'group-list-empty',
      sip: 403,
    });
    expect(refusal(() => list(''))).toMatchObject({ sip: 403 });
  });

  it('is refused with 403 when it names more than a group may have', () => {
    const entries = ['bob', 'carol', 'dave'].map((name) => `<entry uri="sip:${name}@home1.net"/>`).join('');
    expect(refusal(() => list(entries, 2))).toEqual({ code: 'group-list-too-long', sip: 403 });
  });

  it('may be as long as a large group needs it', () => {
    const uri = (n: number): string => `sip:u${n}@home1.net;gr=urn:uuid:6ca759e8-d1b1-5dee-95f9-e36d2aca6bc1`;
    const entries = Array.from({ length: 2_000 }, (_, n) => `<entry uri="${uri(n)}" cp:copyControl="to"/>`);
    expect(list(entries.join(''), 2_000)).toHaveLength(2_000);
  });

  it('counts nested lists as one flat list and follows no references', () => {
    const nested =
      '<list><entry uri="sip:bob@home1.net"/></list><entry-ref ref="me"/><external anchor="http://x/"/>';
    expect(list(nested).map((one) => one.identity)).toEqual(['sip:bob@home1.net']);
    expect(refusal(() => list('<entry-ref ref="me"/><external anchor="http://x/"/>'))).toMatchObject({
      code: 'group-list-empty',
    });
  });

  it('is refused with 400 when it is nested too deep', () => {
    const deep = '<list>'.repeat(8) + '<entry uri="sip:bob@home1.net"/>' + '</list>'.repeat(8);
    expect(refusal(() => list(deep))).toEqual({ code: 'group-list-malformed', sip: 400 });
  });

  it('is refused with 400 when it declares a document type or is not well-formed', () => {
    const bomb =
      '<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists">' +
      '<list><entry uri="&b;"/></list></resource-lists>';
    const read = (text: string) =>
      refusal(() => parseRecipientList(Buffer.from(text), { self: SELF, limit: 9 }));
    expect(read(bomb)).toEqual({ code: 'group-list-malformed', sip: 400 });
    expect(read('<resource-lists')).toEqual({ code: 'group-list-malformed', sip: 400 });
    expect(refusal(() => list('<entry/>'))).toEqual({ code: 'group-list-malformed', sip: 400 });
    expect(refusal(() => list('<entry uri="sip:&#13;&#10;bob@home1.net"/>'))).toMatchObject({ sip: 400 });
  });

  it('gives addresses that are not SIP to interworking', () => {
    const [number, phone] = list('<entry uri="tel:+1-555-0100"/><entry uri="wv:erin@imps.example"/>');
    expect(number).toMatchObject({ identity: 'tel:+15550100', interworking: false });
    expect(phone).toMatchObject({ identity: 'wv:erin@imps.example', interworking: true });
  });

  it('cuts method and header fields off numbers and addresses of interworking as well', () => {
    const entries = list(
      '<entry uri="tel:+1-555-0100;method=INVITE?Session-Replaces=c11&amp;Route=x" cp:copyControl="to"/>' +
        '<entry uri="tel:0100;METHOD=invite;phone-context=+1555" cp:copyControl="to"/>' +
        '<entry uri="wv:erin@imps.example;method=INVITE" cp:copyControl="to"/>' +
        '<entry uri="mailto:frank@mail.example?Route=%3Csip:evil%3E" cp:copyControl="to"/>',
    );
    expect(
      entries.map(({ identity, target, sessionReplaces }) => [identity, target, sessionReplaces]),
    ).toEqual([
      ['tel:+15550100', 'tel:+15550100', 'c11'],
      ['tel:0100;phone-context=+1555', 'tel:0100;phone-context=+1555', undefined],
      ['wv:erin@imps.example', 'wv:erin@imps.example', undefined],
      ['mailto:frank@mail.example', 'mailto:frank@mail.example', undefined],
    ]);
    expect(formatRecipientHistory(entries)).not.toMatch(/method|Route|Session/i);
    expect(refusal(() => list('<entry uri="wv:erin@imps.example;method=BYE"/>'))).toMatchObject({ sip: 400 });
    expect(refusal(() => list('<entry uri="tel:+15550100?Session-Replaces=a%0D%0Ab"/>'))).toMatchObject({
      sip: 400,
    });
  });

  it('of a REFER removes numbers and addresses of interworking', () => {
    const entries =
      '<entry uri="tel:+15550100;method=BYE"/><entry uri="wv:erin@imps.example?method=BYE"/><entry uri="wv:ted@imps.example"/>';
    expect(
      list(entries, 20, ['INVITE', 'BYE']).map(({ identity, method }) => `${identity} ${method}`),
    ).toEqual(['tel:+15550100 BYE', 'wv:erin@imps.example BYE', 'wv:ted@imps.example INVITE']);
  });

  it('keeps the device and the session to replace, and drops smuggled header fields', () => {
    const [bob] = list(
      '<entry uri="sip:bob@home1.net;gr=urn:uuid:1;method=INVITE?Session-Replaces=c11&amp;Route=%3Csip:evil%3E&amp;' +
        'Subject=For%20Bob&amp;From=%3Csip:carol%40home1.net%3E&amp;P-Asserted-Identity=x&amp;Accept-Contact=*%3B%2Bsip.instance%3D%22%3Curn:x%3E%22"' +
        ' cp:copyControl="to"/>',
    );
    expect(bob).toEqual({
      identity: 'sip:bob@home1.net',
      interworking: false,
      target: 'sip:bob@home1.net;gr=urn:uuid:1',
      method: 'INVITE',
      copyControl: 'to',
      anonymize: false,
      sessionReplaces: 'c11',
      acceptContact: '*;+sip.instance="<urn:x>"',
      subject: 'For Bob',
    });
  });

  it('is refused with 400 when a header field of an entry hides a line break', () => {
    expect(
      refusal(() => list('<entry uri="sip:bob@home1.net?Session-Replaces=a%0D%0ARoute:%20x"/>')),
    ).toMatchObject({ sip: 400 });
  });

  it('is refused with 400 when an entry asks for another method', () => {
    expect(refusal(() => list('<entry uri="sip:bob@home1.net;method=REFER"/>'))).toEqual({
      code: 'group-list-method',
      sip: 400,
    });
    expect(refusal(() => list('<entry uri="sip:bob@home1.net;method=BYE"/>'))).toMatchObject({ sip: 400 });
  });

  it('of a REFER may remove, as a parameter or as RFC 5368 §9 writes it', () => {
    const entries =
      '<entry uri="sip:bob@home1.net;method=BYE"/><entry uri="sip:joe@home1.net?method=BYE"/><entry uri="sip:ted@home1.net"/>';
    expect(
      list(entries, 20, ['INVITE', 'BYE']).map(({ identity, method }) => `${identity} ${method}`),
    ).toEqual(['sip:bob@home1.net BYE', 'sip:joe@home1.net BYE', 'sip:ted@home1.net INVITE']);
  });
});

describe('the history of a recipient list', () => {
  it('shows to and cc without devices, hides bcc, and counts the anonymous', () => {
    const history = formatRecipientHistory(
      list(
        '<entry uri="sip:bob@home1.net;gr=x?Session-Replaces=c11" cp:copyControl="to"/>' +
          '<entry uri="sip:carol@home1.net" cp:copyControl="cc"/><entry uri="sip:dave@home1.net" cp:copyControl="bcc"/>' +
          '<entry uri="sip:erin@home1.net" cp:copyControl="to" cp:anonymize="true"/>',
      ),
    );
    expect(history.match(/<entry [^>]*>/g)).toEqual([
      '<entry uri="sip:bob@home1.net" cp:copyControl="to"/>',
      '<entry uri="sip:carol@home1.net" cp:copyControl="cc"/>',
      '<entry uri="sip:anonymous@anonymous.invalid" cp:copyControl="to" cp:count="1"/>',
    ]);
  });
});
