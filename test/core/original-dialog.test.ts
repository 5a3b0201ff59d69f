import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/clock.js';
import { OriginalDialogs, type ChainPosition } from '../../src/core/original-dialog.js';

const position: ChainPosition = {
  sessionCase: 'terminating-registered',
  servedUser: 'tel:+15550100001',
  set: 'sip:alice@ims.test',
  after: 7,
  call: 'c1',
};
const listeners = () => [{ protocol: 'udp' as const, address: '127.0.0.1', port: 5060 }];
const urlOf = (route: string): string => /<([^>]+)>/.exec(route)![1]!;

describe('an original dialog identifier', () => {
  it('gives back where the request stands, at every node with the same key', () => {
    const clock = new VirtualClock();
    const key = Buffer.alloc(16, 1);
    const route = new OriginalDialogs(key, clock, listeners).route(position);
    expect(new OriginalDialogs(key, clock, listeners).read(urlOf(route))).toEqual(position);
    expect(new OriginalDialogs(Buffer.alloc(16, 2), clock, listeners).read(urlOf(route))).toBeUndefined();
  });

  it('is worth nothing after 15 minutes', () => {
    const clock = new VirtualClock();
    const dialogs = new OriginalDialogs(Buffer.alloc(16), clock, listeners);
    const route = urlOf(dialogs.route(position));
    clock.advance(15 * 60_000);
    expect(dialogs.read(route)).toEqual(position);
    clock.advance(2_000);
    expect(dialogs.read(route)).toBeUndefined();
  });
});
