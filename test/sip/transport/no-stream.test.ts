import { expect, it } from 'vitest';
import { NoStream } from '../../../src/sip/transport/no-stream.js';

it('100,000 peers that take no connection are asked for none for five minutes', () => {
  const peers = new NoStream();
  for (let port = 0; port < 100_000; port++) peers.note('192.0.2.1', port, 0);
  expect([peers.has('192.0.2.1', 0, 299_999), peers.has('192.0.2.1', 99_999, 299_999)]).toEqual([true, true]);
  expect(peers.has('192.0.2.1', 0, 300_000)).toBe(false);
});

it('of more peers than there is room for those are forgotten that were asked longest ago', () => {
  const peers = new NoStream();
  peers.note('192.0.2.1', 1, 0);
  peers.note('192.0.2.1', 2, 0);
  peers.note('192.0.2.1', 1, 0);
  for (let port = 0; port < 131_071; port++) peers.note('192.0.2.2', port, 0);
  expect([peers.has('192.0.2.1', 1, 1), peers.has('192.0.2.1', 2, 1)]).toEqual([true, false]);
});
