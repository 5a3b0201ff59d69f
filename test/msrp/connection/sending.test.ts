import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { Connection } from '../../../src/msrp/connection/connection.js';
import { Lane, type Source } from '../../../src/msrp/connection/lane.js';
import { defaultConnectionLimits, type ConnectionLimits } from '../../../src/msrp/connection/limits.js';
import { OutgoingSend } from '../../../src/msrp/connection/outgoing-send.js';
import { defaultParserLimits, type FailureReport } from '../../../src/msrp/message/index.js';
import { MemoryWire } from '../tools/memory-wire.js';
import { parseAll } from '../tools/messages.js';

interface Sent {
  readonly send: OutgoingSend;
  readonly events: string[];
}

/** A message of `length` octets, all of them that of its name. */
function message(name: string, failureReport: FailureReport = 'no'): Sent {
  const events: string[] = [];
  const send = new OutgoingSend(
    {
      toPath: 'msrp://p:1/p;tcp',
      fromPath: 'msrp://u:1/u;tcp',
      messageId: name,
      start: 1,
      ranged: true,
      successReport: false,
      failureReport,
      fields: '',
      contentType: 'a/b',
    },
    {
      answered: (status, start, end) => events.push(`answered ${status} ${start}-${end}`),
      sent: () => events.push('sent'),
      lost: () => events.push('lost'),
    },
  );
  return { send, events };
}

function put(lane: Lane, name: string, length: number, failureReport: FailureReport = 'no'): Sent {
  const sent = message(name, failureReport);
  lane.open(sent.send);
  if (length > 0) lane.write(sent.send, Buffer.alloc(length, name));
  lane.end(sent.send, '$');
  return sent;
}

function connect(limits: Partial<ConnectionLimits> = {}) {
  const wire = new MemoryWire();
  const clock = new VirtualClock();
  const connection = new Connection({
    wire,
    clock,
    router: { request: () => ({ body: () => {}, end: () => {}, lost: () => {} }) },
    limits: { ...defaultConnectionLimits, parser: defaultParserLimits, ...limits },
    onClosed: () => {},
  });
  const lane = (highWater = 1_000_000): Lane => {
    const made = new Lane(highWater);
    connection.carry(made);
    return made;
  };
  /** Chunks on the wire: message, octets, flag. */
  const chunks = (): string[] =>
    parseAll([Buffer.from(wire.written, 'latin1')]).map(
      ({ head, body, flag }) =>
        `${head.messageId ?? head.method ?? head.status} ${body?.length ?? '-'} ${flag}`,
    );
  return { wire, clock, connection, lane, chunks };
}

const turn = (): Promise<void> => Promise.resolve();
const counted = (): Source & { holds: number } => {
  const source = { holds: 0, hold: () => void source.holds++, release: () => void source.holds-- };
  return source;
};

describe('a lane', () => {
  it('is full from its mark on, stops its source once, and lets it go below half', async () => {
    const { wire, lane } = connect();
    wire.choked = true;
    const full = lane(5000);
    const source = counted();
    put(full, 'a', 3000);
    await turn();
    full.holdWhileFull(source);
    expect([full.full, source.holds]).toEqual([false, 0]);
    put(full, 'b', 8000);
    full.holdWhileFull(source);
    full.holdWhileFull(source);
    expect([full.full, source.holds]).toEqual([true, 1]);
    wire.unchoke();
    expect([full.full, source.holds, full.pending]).toEqual([false, 0, 0]);
  });

  it('counts requests without content as well, until they are gone or taken back', async () => {
    const { wire, lane } = connect();
    wire.choked = true;
    const one = lane(10_000);
    const sent = Array.from({ length: 30 }, () => put(one, 'a', 0));
    expect(one.full).toBe(true);
    for (const { send } of sent.slice(5)) one.cancel(send);
    expect([one.full, one.pending > 1000]).toEqual([false, true]);
    wire.unchoke();
    await turn();
    expect(one.pending).toBe(0);
  });

  it('takes back what was not begun without a word, and ends with # what was', async () => {
    const { wire, lane, chunks } = connect({ quantumOctets: 2048, batchOctets: 2048 });
    const one = lane();
    wire.choked = true;
    const [begun, waiting] = [put(one, 'a', 9000), put(one, 'b', 10)];
    await turn();
    expect(one.cancel(waiting.send)).toBe(false);
    expect(one.cancel(begun.send)).toBe(true);
    wire.unchoke();
    expect(chunks()).toEqual(['a 2048 #']);
    expect([one.pending, one.empty]).toEqual([0, true]);
  });

  it('tells what is lost when it closes, and ends the chunk that is on the wire', async () => {
    const { wire, lane, chunks } = connect({ quantumOctets: 2048, batchOctets: 2048 });
    const one = lane();
    const source = counted();
    wire.choked = true;
    const sent = [put(one, 'a', 900_000), put(one, 'b', 900_000)];
    one.holdWhileFull(source);
    await turn();
    one.close();
    expect(sent.map(({ events }) => events)).toEqual([['lost'], ['lost']]);
    expect(source.holds).toBe(0);
    expect(chunks()).toEqual(['a 2048 #']);
    expect(put(one, 'c', 5).events).toEqual(['lost']);
  });
});

describe('a connection', () => {
  it('gives its lanes equal turns, and cuts a chunk where the turn of another begins', async () => {
    const { lane, chunks } = connect({ quantumOctets: 4096 });
    put(lane(), 'a', 10_000);
    put(lane(), 'b', 10_000);
    put(lane(), 'c', 100);
    await turn();
    expect(chunks()).toEqual([
      'a 4096 +',
      'b 4096 +',
      'c 100 $',
      'a 4096 +',
      'b 4096 +',
      'a 1808 $',
      'b 1808 $',
    ]);
  });

  it('does not cut a lone message, however long', async () => {
    const { lane, chunks } = connect({ quantumOctets: 4096 });
    put(lane(), 'a', 100_000);
    await turn();
    expect(chunks()).toEqual(['a 100000 $']);
  });

  it('lets a response go before the rest of a chunk, but cuts no chunk below 2048 octets', async () => {
    const { wire, connection, lane, chunks } = connect({ quantumOctets: 2048, batchOctets: 2048 });
    const one = lane();
    const { send } = message('a');
    one.open(send);
    one.write(send, Buffer.alloc(1000, 'a'));
    await turn();
    connection.request('REPORT', 'msrp://p:1/p;tcp', 'msrp://u:1/u;tcp', 'Message-ID: r\r\n');
    await turn();
    // nothing more of the chunk is there, so it need not be waited for
    expect(chunks()).toEqual(['a 1000 +', 'r - $']);
    wire.written = '';
    wire.choked = true;
    one.write(send, Buffer.alloc(9000, 'a'));
    await turn();
    connection.request('REPORT', 'msrp://p:1/p;tcp', 'msrp://u:1/u;tcp', 'Message-ID: r\r\n');
    one.end(send, '$');
    wire.unchoke();
    expect(chunks()).toEqual(['a 2048 +', 'r - $', 'a 6952 $']);
  });

  it('sends nothing new while too much is unanswered, and gives a peer up that answers nothing', async () => {
    const { wire, connection, lane, chunks } = connect({ transactions: 4 });
    const one = lane();
    const sent = ['a', 'b', 'c'].map((name) => put(one, name, 10, 'yes'));
    await turn();
    expect(chunks()).toEqual(['a 10 $', 'b 10 $']);
    const first = /^MSRP (\S+)/.exec(wire.written)![1]!;
    wire.push(Buffer.from(`MSRP ${first} 200 OK\r\nTo-Path: a\r\nFrom-Path: b\r\n-------${first}$\r\n`));
    await turn();
    expect(chunks()).toHaveLength(3);
    expect(sent[0]!.events).toEqual(['sent', 'answered 200 1-10']);
    // while we do not read no answers can come, and we go on, but not for ever
    connection.hold();
    for (let i = 0; i < 80; i++) put(one, 'd', 10, 'yes');
    await turn();
    expect(wire.ending).toBe('destroy');
    expect(chunks().length).toBeLessThan(70);
  });

  it('goes on with its other lanes while those of one or two are not answered', async () => {
    const { clock, connection, lane, chunks } = connect({ transactions: 60 });
    connection.addUser({ connectionLost: () => {} });
    const sentOf = (name: string): number => chunks().filter((chunk) => chunk.startsWith(name)).length;
    const [silent, silentToo, lively] = [lane(), lane(), lane()];
    for (let i = 0; i < 100; i++) put(silent, 'a', 10, 'yes');
    await turn();
    expect(sentOf('a')).toBe(30);
    for (let i = 0; i < 100; i++) put(silentToo, 'b', 10, 'partial');
    await turn();
    expect(sentOf('b')).toBe(15);
    for (let i = 0; i < 7; i++) put(lively, 'c', 10, 'yes');
    await turn();
    expect(sentOf('c')).toBe(7);
    // what will not be answered makes room for what waits, with either kind of failure report
    clock.advance(30_010);
    await turn();
    expect([sentOf('a') > 30, sentOf('b') > 15]).toEqual([true, true]);
  });

  it('waits thirty seconds for an answer, but not while it does not read', async () => {
    const { clock, connection, lane } = connect();
    const user = { connectionLost: () => {} };
    connection.addUser(user);
    const sent = put(lane(), 'a', 10, 'yes');
    await turn();
    clock.advance(29_000);
    connection.hold();
    clock.advance(60_000);
    connection.release();
    clock.advance(29_000);
    expect(sent.events).toEqual(['sent']);
    clock.advance(1_010);
    expect(sent.events).toEqual(['sent', 'answered 408 1-10']);
  });

  it('stops reading while its answers do not go, and the source of what it is to pass on', async () => {
    const { wire, connection } = connect();
    wire.choked = true;
    const source = counted();
    const say = (): void =>
      connection.request(
        'REPORT',
        'msrp://p:1/p;tcp',
        'msrp://u:1/u;tcp',
        `Message-ID: r\r\nX: ${'x'.repeat(1000)}\r\n`,
      );
    say();
    await turn();
    for (let i = 0; i < 70; i++) say();
    connection.holdWhileCrowded(source);
    expect([wire.paused, source.holds]).toEqual([true, 1]);
    wire.unchoke();
    expect([wire.paused, source.holds]).toEqual([false, 0]);
  });

  it('sends what it has before it ends, and nothing after', async () => {
    const { wire, connection, lane, chunks } = connect();
    const one = lane();
    put(one, 'a', 10);
    connection.end();
    put(one, 'b', 10);
    await turn();
    expect([chunks(), wire.ending, connection.isOpen]).toEqual([['a 10 $'], 'end', false]);
  });
});

describe('a connection in time', () => {
  const half = Buffer.from('MSRP abcd SEND\r\nTo-Path: ');

  it('is closed when it has no session for thirty seconds, or none any more for five minutes', () => {
    const fresh = connect();
    fresh.clock.advance(30_000);
    expect(fresh.wire.ending).toBe('end');
    const used = connect();
    const user = { connectionLost: () => {} };
    used.connection.addUser(user);
    used.clock.advance(3_600_000);
    used.connection.removeUser(user);
    used.clock.advance(270_000);
    expect(used.wire.ending).toBeUndefined();
    used.clock.advance(30_000);
    expect(used.wire.ending).toBe('end');
  });

  it('is given up when a header section takes longer than thirty seconds, session or not', () => {
    const { wire, clock, connection } = connect();
    const lost: string[] = [];
    connection.addUser({ connectionLost: ({ code }) => lost.push(code) });
    wire.push(half);
    clock.advance(29_000);
    wire.push(Buffer.from('msrp'));
    expect(lost).toEqual([]);
    clock.advance(31_000);
    expect([lost, wire.ending]).toEqual([['msrp-timeout'], 'destroy']);
  });

  it('tells its users once that it ended, and gives up what they have begun', () => {
    const { wire, connection } = connect();
    const lost: string[] = [];
    connection.addUser({ connectionLost: ({ code }) => lost.push(code) });
    wire.push(half);
    wire.close();
    wire.close();
    expect([lost, connection.users, connection.isOpen]).toEqual([['msrp-connection-lost'], 0, false]);
  });
});
