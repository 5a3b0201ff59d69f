import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../../src/base/log.js';
import { EarlyDialogs } from '../../../src/cpm/controlling/early-dialogs.js';
import type { Dialog, SipStack } from '../../../src/sip/stack.js';
import { MemoryStore } from '../../tools/memory-store.js';

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A process with that store. @returns also what it has sent, and what gives up on each that is not answered. */
function process(holder: string, store: MemoryStore, alive: readonly string[]) {
  const sent: string[] = [];
  const waiting: (() => void)[] = [];
  const stack = {
    request: (uri: string, { method, headers, route }: Parameters<SipStack['request']>[1]) => {
      sent.push(`${method} ${uri} ${String(headers?.CSeq)} by ${String(route)}`);
      return new Promise((_, reject) => waiting.push(() => reject(new Error('408'))));
    },
  } as unknown as SipStack;
  const isAlive = (one: string): boolean => alive.includes(one);
  return { early: new EarlyDialogs({ stack, store, log: silentLogger, holder, isAlive }), sent, waiting };
}

const ringing = {
  ...{ callId: 'c1', localUri: 'sip:gs-1@ims.test', localTag: 'f', remoteUri: 'sip:bob@ims.test' },
  ...{ remoteTag: 'b', remoteTarget: 'sip:bob@192.0.2.1', routeSet: ['<sip:192.0.2.2;lr>'] },
  request: { cseq: { number: 1, method: 'INVITE' } },
} as unknown as Dialog;

describe('a device that rings for a group', () => {
  it('hears a BYE from one of those that outlive the process that rang', async () => {
    const store = new MemoryStore();
    process('dead', store, []).early.keep(ringing);
    const survivors = ['one', 'two'].map((holder) => process(holder, store, ['one', 'two']));
    await Promise.all(survivors.map(({ early }) => early.endOrphans()));
    expect(survivors.flatMap(({ sent }) => sent)).toEqual([
      'BYE sip:bob@192.0.2.1 101 BYE by <sip:192.0.2.2;lr>',
    ]);
  });

  it('is one of few that are told at a time, and is told when another one does not answer', async () => {
    const store = new MemoryStore();
    const { early } = process('dead', store, []);
    for (let n = 0; n < 300; n++) early.keep(ringing);
    const survivor = process('survivor', store, []);
    const over = survivor.early.endOrphans();
    while (survivor.waiting.length < 256) await settle();
    await settle();
    expect(survivor.sent).toHaveLength(256);
    for (const give of survivor.waiting.splice(0)) give();
    await over;
    expect(survivor.sent).toHaveLength(300);
  });

  it('hears nothing while that process lives, and nothing once it has answered', async () => {
    const store = new MemoryStore();
    const answered = process('dead', store, []).early.keep(ringing);
    const living = process('living', store, ['dead']);
    await living.early.endOrphans();
    answered();
    await settle();
    const survivor = process('survivor', store, []);
    await survivor.early.endOrphans();
    expect([living.sent, survivor.sent]).toEqual([[], []]);
  });
});
