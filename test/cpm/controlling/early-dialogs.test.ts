import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../../src/base/log.js';
import { EarlyDialogs } from '../../../src/cpm/controlling/early-dialogs.js';
import type { Dialog, SipStack } from '../../../src/sip/stack.js';
import { MemoryStore } from '../../tools/memory-store.js';

/** A process with that store. @returns also what it has sent. */
function process(holder: string, store: MemoryStore, alive: readonly string[]) {
  const sent: string[] = [];
  const stack = {
    request: (uri: string, { method, headers, route }: Parameters<SipStack['request']>[1]) => {
      sent.push(`${method} ${uri} ${String(headers?.CSeq)} by ${String(route)}`);
      return Promise.resolve({ status: 200 });
    },
  } as unknown as SipStack;
  const isAlive = (one: string): boolean => alive.includes(one);
  return { early: new EarlyDialogs({ stack, store, log: silentLogger, holder, isAlive }), sent };
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

  it('hears nothing while that process lives, and nothing once it has answered', async () => {
    const store = new MemoryStore();
    const answered = process('dead', store, []).early.keep(ringing);
    const living = process('living', store, ['dead']);
    await living.early.endOrphans();
    answered();
    await new Promise<void>((resolve) => setImmediate(resolve));
    const survivor = process('survivor', store, []);
    await survivor.early.endOrphans();
    expect([living.sent, survivor.sent]).toEqual([[], []]);
  });
});
