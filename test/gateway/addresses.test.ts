import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/clock.js';
import { MemoryTrail } from '../../src/base/trail.js';
import { AddressMap } from '../../src/gateway/addresses/address-map.js';
import { aorByRule, wvByRule } from '../../src/gateway/addresses/rules.js';
import type { Aor } from '../../src/identity/aor.js';
import type { UserId } from '../../src/imps/index.js';
import { MemoryStore } from '../tools/memory-store.js';

const wv = (text: string): UserId => text as UserId;
const pairs = [['wv.test', 'ims.test']] as const;

function addressMap(): AddressMap {
  const clock = new VirtualClock();
  return new AddressMap({
    store: new MemoryStore(),
    trail: new MemoryTrail(() => clock.now()),
    home: 'ims.test',
    domains: [],
    setOf: async (aor) => (aor === 'tel:+15550100001' ? 'sip:alice@ims.test' : undefined),
  });
}

describe('wv addresses and SIP addresses by rule', () => {
  it.each([
    ['wv:bob@ims.test', 'sip:bob@ims.test'],
    ['wv:+46701234567@ims.test', 'tel:+46701234567'],
    ['wv:bob smith@example.net', 'sip:bob%20smith@example.net'],
    ['wv:50%@example.net', 'sip:50%25@example.net'],
  ])('%s is %s, and back', (from, to) => {
    expect(aorByRule(wv(from), [])).toBe(to);
    expect(wvByRule(to as Aor, [], 'ims.test')).toBe(from);
  });

  it('take another domain where the configuration names one', () => {
    expect(aorByRule(wv('wv:bob@wv.test'), pairs)).toBe('sip:bob@ims.test');
    expect(wvByRule('sip:bob@ims.test' as Aor, pairs, 'wv.test')).toBe('wv:bob@wv.test');
  });

  it.each(['sip:Bob@ims.test', 'sip:a/b@ims.test', 'sip:%C3%A9@ims.test', 'sip:x@y@ims.test'])(
    '%s has none, since nothing leads back',
    (aor) => expect(wvByRule(aor as Aor, [], 'ims.test')).toBeUndefined(),
  );
});

describe('the address map', () => {
  it('takes what is laid down in place of what was made, which still leads there', async () => {
    const map = addressMap();
    const made = await map.toWv('sip:Zed@ims.test');
    await map.provision('wv:zed@ims.test', 'sip:Zed@ims.test');
    expect(await map.toWv('sip:Zed@ims.test')).toBe('wv:zed@ims.test');
    expect(await map.toAor(wv('wv:zed@ims.test'))).toBe('sip:Zed@ims.test');
    expect(await map.toAor(made)).toBe('sip:Zed@ims.test');
    await expect(map.provision('wv:other@ims.test', 'sip:Zed@ims.test')).rejects.toMatchObject({
      code: 'gateway-address-conflict',
    });
  });

  it('shows every identity of a user as its one wv address', async () => {
    const map = addressMap();
    await map.provision('wv:al@ims.test', 'sip:alice@ims.test');
    expect(await map.toWv('tel:+15550100001')).toBe('wv:al@ims.test');
    expect(await map.toWv('sip:alice@ims.test')).toBe('wv:al@ims.test');
    expect(await map.toAor(wv('wv:al@ims.test'))).toBe('sip:alice@ims.test');
  });

  it('makes an address, the same each time, for a user whom no rule can show', async () => {
    const map = addressMap();
    const made = await map.toWv('sip:Bob/1@ims.test');
    expect(made).toMatch(/^wv:bob1\.[0-9a-f]{12}@ims\.test$/);
    expect(await map.toWv('sip:Bob/1@ims.test')).toBe(made);
    expect(await map.toAor(made)).toBe('sip:Bob/1@ims.test');
  });

  it('refuses an address that would be of two users', async () => {
    const map = addressMap();
    await map.provision('wv:al@ims.test', 'sip:alice@ims.test');
    await expect(map.provision('wv:al@ims.test', 'sip:bob@ims.test')).rejects.toMatchObject({
      code: 'gateway-address-conflict',
    });
    await expect(map.provision('wv:other@ims.test', 'sip:alice@ims.test')).rejects.toMatchObject({
      code: 'gateway-address-conflict',
    });
    // the refused ones left nothing behind
    await map.provision('wv:bob@ims.test', 'sip:bob@ims.test');
    const left: string[] = [];
    for await (const { wv: one } of map.list()) left.push(one);
    expect(left).toEqual(['wv:al@ims.test', 'wv:bob@ims.test']);
  });

  it.each([
    ['another wv address', 'wv:robert@ims.test', 'sip:alice@ims.test'],
    ['another identity', 'wv:al@ims.test', 'sip:bob@ims.test'],
    ['one that another user had', 'wv:made@ims.test', 'sip:alice@ims.test'],
  ])('takes the configuration’s word, whatever it said before: %s', async (_, name, aor) => {
    const map = addressMap();
    await map.configure('wv:al@ims.test', 'sip:alice@ims.test');
    await map.provision('wv:made@ims.test', 'sip:carol@ims.test');
    await map.configure(name, aor);
    await map.configure(name, aor);
    expect(await map.toAor(wv(name))).toBe(aor);
    expect(await map.toWv(aor)).toBe(name);
  });

  it('gives nobody by rule the address that somebody is provisioned for', async () => {
    const map = addressMap();
    await map.provision('wv:robert@ims.test', 'sip:bob@ims.test');
    expect(await map.toAor(wv('wv:bob@ims.test'))).toBeUndefined();
  });

  it('refuses a mapping to what is no SIP address, such as a wv address again', async () => {
    const map = addressMap();
    await expect(map.provision('wv:al@ims.test', 'wv:al@ims.test')).rejects.toMatchObject({
      code: 'aor-scheme',
    });
    await expect(map.provision('wv:/group@ims.test', 'sip:a@ims.test')).rejects.toMatchObject({
      code: 'gateway-address-invalid',
    });
  });
});
