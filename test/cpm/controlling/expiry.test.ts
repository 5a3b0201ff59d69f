import { expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { expireMessages } from '../../../src/cpm/controlling/expiry.js';
import type { Group } from '../../../src/cpm/controlling/group.js';
import { Groups } from '../../../src/cpm/controlling/groups.js';
import type { Member } from '../../../src/cpm/controlling/member.js';
import { keepMessage, MessageLog } from '../../../src/cpm/controlling/message-log.js';
import { formatCpim, IMDN_NAMESPACE, parseCpim } from '../../../src/msrp/cpim/index.js';
import { parseImdn } from '../../../src/msrp/imdn.js';
import { MemoryStore } from '../../tools/memory-store.js';

const [ALICE, BOB, CAROL] = ['sip:alice@ims.test', 'sip:bob@ims.test', 'sip:carol@ims.test'];
const KEEP = 60_000;

const member = (identity: string, more: Partial<Member> = {}): Member => ({
  ...{ identity, owner: identity, state: 'away', role: 'participant', endpoints: [], copyControl: 'to' },
  ...more,
});

/** A group without sessions in which alice's message waits for bob and carol; `living` are the nodes that count as alive. */
async function waiting(asks: string, holder?: string) {
  const [store, clock, living] = [new MemoryStore(), new VirtualClock(), new Set<string>()];
  const groups = new Groups(store, clock, {
    ...{ holder: 'here', isAlive: (other: string) => living.has(other), keepMs: 1e9 },
  });
  const group: Group = {
    ...{ id: 'gs-1', uri: 'sip:gs-1@ims.test', kind: 'long-lived', access: 'closed', holder },
    ...{ contributionId: 'g77', conversationId: 'k2', creator: ALICE, maximum: 9, minimum: 1, createdAt: 0 },
    members: [member(ALICE), member(BOB), member(CAROL, { alias: 'sip:anonymous-1@anonymous.invalid' })],
  };
  await groups.add(group);
  const octets = formatCpim({
    from: { name: '', uri: ALICE },
    to: [{ name: '', uri: group.uri }],
    namespaces: {
      imdn: {
        uri: IMDN_NAMESPACE,
        fields: [
          ['Message-ID', 'id-1'],
          ['Disposition-Notification', asks],
        ],
      },
    },
    mime: [['Content-Type', 'text/plain']],
    content: Buffer.from('late'),
  });
  const about = { contentType: 'message/cpim', wrapped: 'text/plain', receivedAt: clock.now() };
  await keepMessage(store, 'gs-1', { ...about, octets, from: ALICE, waiting: [BOB, CAROL] }, KEEP);
  const expire = (): Promise<void> =>
    expireMessages({ store, clock, groups, keepMs: KEEP, expired: () => false }, 10);
  /** What waits in the group, in order: for whom, and of whom it says that it was not delivered. */
  const kept = async (): Promise<unknown[]> => {
    const log = new MessageLog('gs-1', { store, clock, log: silentLogger, keepMs: KEEP });
    await log.load(() => true);
    return Promise.all(
      [...log.entries].map(async (entry) => {
        const { octets: found } = (await log.read(entry))!;
        const { head, content } = parseCpim(found);
        const imdn = head.mediaType === 'message/imdn+xml' ? parseImdn(content) : undefined;
        return [[...entry.waiting], imdn?.recipientUri, imdn?.status];
      }),
    );
  };
  return { clock, living, expire, kept };
}

it('a message that waited too long in a group without sessions leaves word for who sent it and asked', async () => {
  const { clock, expire, kept } = await waiting('negative-delivery');
  await expire();
  expect(await kept()).toEqual([[[BOB, CAROL], undefined, undefined]]);
  clock.advance(KEEP + 1);
  await expire();
  expect(await kept()).toEqual([
    [[ALICE], BOB, 'failed'],
    [[ALICE], 'sip:anonymous-1@anonymous.invalid', 'failed'],
  ]);
  clock.advance(KEEP + 1);
  await expire();
  expect(await kept()).toEqual([]);
});

it('a message that waited too long is gone without a word where nobody asked', async () => {
  const { clock, expire, kept } = await waiting('positive-delivery');
  clock.advance(KEEP + 1);
  await expire();
  expect(await kept()).toEqual([]);
});

it('a message that waited too long is left to the node that runs the group while that lives', async () => {
  const { clock, living, expire, kept } = await waiting('negative-delivery', 'there');
  living.add('there');
  clock.advance(KEEP + 1);
  await expire();
  expect(await kept()).toEqual([[[BOB, CAROL], undefined, undefined]]);
  living.delete('there');
  await expire();
  expect(await kept()).toHaveLength(2);
});
