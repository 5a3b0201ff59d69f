import { beforeEach, describe, expect, it } from 'vitest';
import { useCleanups } from '../tools/cleanups.js';
import { startParley, type RunningParley } from '../tools/parley.js';

const cleanups = useCleanups();
let parley: RunningParley;

async function call(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
  const response = await fetch(`${parley.api}/api/v1${path}`, {
    method,
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  expect(response.ok).toBe(true);
  return (await response.json().catch(() => ({}))) as Record<string, unknown>;
}

/** The items of a list, asked for one at a time. */
async function onePerPage(name: string): Promise<Record<string, unknown>[]> {
  const found: Record<string, unknown>[] = [];
  for (let after = ''; ;) {
    const page = await call('GET', `/${name}?limit=1${after}`);
    const items = page[name] as Record<string, unknown>[];
    expect(items.length).toBeLessThanOrEqual(1);
    found.push(...items);
    if (page['next'] === undefined) return found;
    after = `&after=${encodeURIComponent(page['next'] as string)}`;
  }
}

describe('a list that the API gives page by page', () => {
  beforeEach(async () => {
    parley = await startParley({ auth: 'none' });
    cleanups.push(() => parley.stop());
  });

  it('gives each group once', async () => {
    for (const name of ['one', 'three', 'two'])
      await call('POST', '/groups', { name, chairman: 'sip:alice@ims.test' });
    expect((await onePerPage('groups')).map(({ id }) => id)).toEqual(['gs-one', 'gs-three', 'gs-two']);
  });

  it('gives each service profile once', async () => {
    for (const name of ['a', 'b', 'c']) await call('PUT', `/profiles/${name}`, { criteria: [] });
    expect((await onePerPage('profiles')).map(({ name }) => name)).toEqual(['a', 'b', 'c']);
  });

  it('gives each subscriber once', async () => {
    for (const name of ['x', 'y', 'z'])
      await call('POST', '/subscribers', {
        privateId: `${name}@ims.test`,
        identities: [`sip:${name}@ims.test`],
        password: 'a-secret-of-the-lab',
      });
    expect((await onePerPage('subscribers')).map(({ privateId }) => privateId)).toEqual([
      'x@ims.test',
      'y@ims.test',
      'z@ims.test',
    ]);
  });
});
