import { describe, expect, it } from 'vitest';
import { nameContribution } from '../../../src/cpm/participating/identifiers.js';
import { Headers } from '../../../src/sip/message/headers.js';

const ALICE = 'sip:alice@ims.test';
const conversation = (sender: string, recipient: string, given: Record<string, string> = {}): string => {
  const headers = Headers.from(given);
  nameContribution(headers, sender, recipient);
  expect(headers.get('Contribution-ID')).toMatch(/^[0-9a-f-]{36}$/);
  return headers.get('Conversation-ID')!;
};

describe('the conversation of two users whose clients name none', () => {
  it.each([
    'sip:bob@ims.test',
    'sip:bob@IMS.test',
    'sip:bob@ims.test;user=ip',
    'sip:bob@ims.test;gr=urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e',
  ])('is the same in both directions, to %s', (bob) => {
    expect(conversation(ALICE, bob)).toBe(conversation('sip:bob@ims.test', ALICE));
    expect(conversation(ALICE, bob)).not.toBe(conversation(ALICE, 'sip:carol@ims.test'));
  });

  it('is what a client names', () => {
    expect(conversation(ALICE, 'sip:bob@ims.test', { 'Conversation-ID': 'c-1' })).toBe('c-1');
  });
});
