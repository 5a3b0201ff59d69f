import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { MemoryTrail } from '../../../src/base/trail.js';
import { Recordings, type RecordingsOptions } from '../../../src/cpm/recording/recordings.js';
import { parseCpim } from '../../../src/msrp/cpim/index.js';
import type { PassingMessage } from '../../../src/msrp/session/index.js';
import { useCleanups } from '../../tools/cleanups.js';

const cleanups = useCleanups();
const clock = new VirtualClock(Date.parse('2026-03-01T10:00:00Z'));
const trail = new MemoryTrail(() => clock.now());
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-recordings-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
});

async function open(limits: Partial<RecordingsOptions> = {}): Promise<Recordings> {
  const recordings = await Recordings.open({
    folder,
    clock,
    log: silentLogger,
    trail,
    messageOctets: 1000,
    totalOctets: 100_000,
    heldOctets: 10_000,
    keepDays: 7,
    ...limits,
  });
  cleanups.push(() => recordings.close());
  return recordings;
}

const session = { session: 'call-1', conversationId: 'conv-1' };
const ends = { from: 'sip:alice@ims.test', to: 'sip:bob@ims.test' };

/** Lets a message pass in pieces, each with its position. */
function pass(
  recordings: Recordings,
  pieces: readonly (readonly [string, number])[],
  about: Partial<PassingMessage> = {},
  status = 200,
): void {
  const message = { messageId: 'm1', contentType: 'text/plain;charset=UTF-8', total: undefined, ...about };
  const observer = recordings.observe(session, message as PassingMessage, ends);
  for (const [text, position] of pieces) observer.piece(Buffer.from(text, 'latin1'), position);
  observer.end(status);
}

describe('recordings', () => {
  it('are each a Message/CPIM with whose it was, octet for octet, readable by nobody else, over restarts', async () => {
    const recordings = await open();
    pass(
      recordings,
      [
        ['world\0\xff', 7],
        ['hello ', 1],
      ],
      { total: 13 },
    );
    await recordings.close();
    const [listed] = await (await open()).list({ limit: 10 });
    expect(listed).toEqual({
      id: expect.stringMatching(/^20260301T100000000Z-[0-9a-f]{16}$/) as string,
      ...ends,
      ...session,
      at: clock.now(),
      messageId: 'm1',
      octets: 13,
      status: 200,
      complete: true,
      contentType: 'text/plain;charset=UTF-8',
    });
    const { head, content } = parseCpim(await recordings.read(listed!.id));
    expect(content.toString('latin1')).toBe('hello world\0\xff');
    expect(head.from?.uri).toBe('sip:alice@ims.test');
    expect((await stat(join(folder, '20260301', `${listed!.id}.cpim`))).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, '20260301'))).mode & 0o777).toBe(0o700);
  });

  it('begun by a process that was killed are removed at the next start, and nothing else', async () => {
    const day = join(folder, '20260301');
    await mkdir(day);
    const names = ['20260301T100000000Z-0123456789abcdef.cpim', 'notes.txt'];
    for (const name of [...names, '20260301T100000001Z-0123456789abcdef.cpim.part'])
      await writeFile(join(day, name), 'x');
    await open();
    expect((await readdir(day)).sort()).toEqual(names);
  });

  it('say what is not in them: beyond the limit, with a gap, and what its receiver refused', async () => {
    const recordings = await open();
    pass(
      recordings,
      [
        ['x'.repeat(900), 1],
        ['y'.repeat(900), 901],
      ],
      { messageId: 'long' },
    );
    pass(
      recordings,
      [
        ['abc', 1],
        ['ghi', 7],
      ],
      { messageId: 'gap' },
    );
    pass(recordings, [['abc', 1]], { messageId: 'refused' }, 413);
    pass(recordings, [['abc', 1]], { messageId: 'odd', contentType: 'a/b\u0001\n' });
    await recordings.close();
    const listed = await recordings.list({ limit: 10 });
    const short = listed.map(({ messageId, octets, complete, status }) => [
      messageId,
      octets,
      complete,
      status,
    ]);
    expect(short.sort()).toEqual([
      ['gap', 6, false, 200],
      ['long', 1800, false, 200],
      ['odd', 3, true, 200],
      ['refused', 3, false, 413],
    ]);
    const gap = listed.find(({ messageId }) => messageId === 'gap')!;
    expect(parseCpim(await recordings.read(gap.id)).content.toString()).toBe('abc');
  });

  it('hold so much in memory and so much in the folder, and the trail says what was not recorded', async () => {
    const recordings = await open({ heldOctets: 5, totalOctets: 700 });
    pass(recordings, [['abcdef', 1]], { messageId: 'held' });
    await recordings.close();
    const [held] = await recordings.list({ limit: 10 });
    expect(held).toMatchObject({ messageId: 'held', octets: 6, complete: false });
    pass(recordings, [['abc', 1]]);
    pass(recordings, [['abc', 1]]);
    await recordings.close();
    expect(await recordings.list({ limit: 10 })).toHaveLength(2);
    expect(trail.recent({ code: 'cpm.recording-refused' })[0]).toMatchObject({
      subject: 'sip:alice@ims.test',
      detail: 'the folder is full',
    });
    // what is removed makes room
    await recordings.remove(held!.id);
    pass(recordings, [['abc', 1]], { messageId: 'again' });
    await recordings.close();
    expect(await recordings.list({ limit: 10 })).toHaveLength(2);
  });

  it('are listed by user, newest first and page by page, and found by no other name', async () => {
    const recordings = await open();
    for (const name of ['a', 'b', 'c', 'd']) {
      pass(recordings, [[name, 1]], { messageId: name });
      clock.advance(1000);
    }
    await recordings.close();
    const first = await recordings.list({ limit: 2, user: 'sip:bob@ims.test' });
    const next = await recordings.list({ limit: 5, before: first.at(-1)!.id });
    expect([...first, ...next].map(({ messageId }) => messageId)).toEqual(['d', 'c', 'b', 'a']);
    expect(await recordings.list({ limit: 5, user: 'sip:carol@ims.test' })).toEqual([]);
    for (const id of ['../../etc/passwd', '20260301T100000000Z-0000000000000000', ''])
      await expect(recordings.read(id)).rejects.toMatchObject({ code: 'recording-unknown' });
    await expect(recordings.remove('x')).rejects.toMatchObject({ code: 'recording-unknown' });
  });

  it('are removed after their days, and what is half written or foreign is none', async () => {
    for (const day of ['20260227', '20260228']) {
      await mkdir(join(folder, day));
      await writeFile(join(folder, day, `${day}T100000000Z-0123456789abcdef.cpim`), 'no cpim');
      await writeFile(join(folder, day, `${day}T100000000Z-0123456789abcdee.cpim.part`), 'x');
    }
    await mkdir(join(folder, 'mine'));
    const recordings = await open({ keepDays: 1 });
    expect((await readdir(folder)).sort()).toEqual(['20260228', 'mine']);
    expect(recordings.octets).toBe(7);
    expect(await recordings.list({ limit: 10 })).toEqual([]);
    await expect
      .poll(
        async () => {
          clock.advance(3_600_000);
          return (await readdir(folder)).sort();
        },
        { timeout: 20_000 },
      )
      .toEqual(['mine']);
    expect(recordings.octets).toBe(0);
  });

  it('need a folder that can be used', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');
    await chmod(file, 0o600);
    await expect(open({ folder: join(file, 'below') })).rejects.toThrow();
  });
});
