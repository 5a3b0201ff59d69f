import { beforeEach, describe, expect, it } from 'vitest';
import { ApiClient } from '../../src/cli/api-client.js';
import { impsCommand } from '../../src/cli/imps.js';
import { child, element, textOf, type Element } from '../../src/imps/codec/element.js';
import { codeOf, Phone, type PhoneOptions } from '../imps/tools/phone.js';
import { useCleanups } from '../tools/cleanups.js';
import { startParley, type RunningParley } from '../tools/parley.js';

const cleanups = useCleanups();
const erin = 'wv:erin@ims.test';
let parley: RunningParley;
beforeEach(async () => {
  parley = await startParley();
  cleanups.push(() => parley.stop());
  expect(await typed('add', erin, '--msisdn', '+15550100009')).toBe(`added ${erin}`);
});

/** What `parley imps …` prints. */
async function typed(...args: readonly string[]): Promise<string> {
  const printed: string[] = [];
  const context = {
    api: () => new ApiClient(parley.api, undefined),
    print: (text: string) => void printed.push(text),
    readSecret: () => Promise.resolve('erin-secret'),
  };
  await impsCommand(context)
    .exitOverride()
    .parseAsync([...args], { from: 'user' });
  return printed.join('\n');
}

const phone = (options: Partial<PhoneOptions> = {}): Phone =>
  new Phone({
    url: parley.app.imps!.csp.replace(/\/csp$/, ''),
    user: erin,
    password: 'erin-secret',
    ...options,
  });

describe('users of parley imps', () => {
  it('are added, listed, found by their number, barred, let in again and removed', async () => {
    const client = phone();
    expect(codeOf(await client.login4())).toBe(200);
    expect(await typed('users')).toMatch(/wv:erin@ims\.test +\+15550100009 +active/);
    expect(await typed('bar', erin)).toBe(`barred: ${erin}`);
    expect(await typed('users')).toMatch(/wv:erin@ims\.test +\+15550100009 +barred/);
    expect(codeOf(await client.request(element('KeepAlive-Request')))).toBe(601);
    expect(codeOf(await phone().login4())).toBe(403);
    expect(codeOf(await phone({ password: 'wrong' }).login4())).toBe(409);
    expect(await typed('unbar', erin)).toBe(`let in again: ${erin}`);
    expect(codeOf(await phone().login4())).toBe(200);
    expect(await typed('sessions', erin)).toMatch(/^wv:erin@ims\.test +wv:test1\$lab@maker\.m1\.1/m);
    expect(await typed('disconnect', erin)).toMatch(/wv:erin@ims\.test/);
    expect(await typed('remove', erin)).toBe(`removed ${erin}`);
    expect(await typed('users')).toBe('no IMPS users');
    await expect(typed('bar', erin)).rejects.toThrow('no such IMPS user');
  });

  it('and their sessions are listed page by page, however many there are', async () => {
    const names = ['wv:f1@ims.test', 'wv:f2@ims.test', 'wv:f3@ims.test'];
    for (const name of names) await typed('add', name);
    for (const user of [erin, ...names])
      for (const clientId of ['wv:one', 'wv:two']) await phone({ user, clientId }).login2();
    const paged = async (path: string, name: string): Promise<string[][]> => {
      const pages: string[][] = [];
      for (let after = ''; ;) {
        const answer = await fetch(`${parley.api}/api/v1/imps/${path}?limit=3${after}`);
        const page = (await answer.json()) as Record<string, { user: string }[]> & { next?: string };
        pages.push(page[name]!.map(({ user }) => user));
        if (page.next === undefined) return pages;
        after = `&after=${encodeURIComponent(String(page.next))}`;
      }
    };
    expect(await paged('users', 'users')).toEqual([[erin, names[0], names[1]], [names[2]]]);
    const [first, second] = [
      [erin, erin, names[0], names[0]],
      [names[1], names[1], names[2], names[2]],
    ];
    expect(await paged('sessions', 'sessions')).toEqual([first, second, []]);
    const metrics = await (await fetch(`${parley.api}/metrics`)).text();
    expect(metrics).toMatch(/^parley_imps_sessions 8$/m);
    expect(metrics).toMatch(/^parley_imps_messages_waiting 0$/m);
  });

  it('who still have to answer the questions of an auto-registration are not let in by unbar', async () => {
    const server = parley.app.imps!.server;
    const [user] = [erin as Parameters<typeof server.users.find>[0]];
    await server.users.change(user, (record) => ({ ...record, state: 'confirming' }));
    await typed('unbar', erin);
    expect((await server.users.find(user))?.state).toBe('confirming');
  });

  it('have the number that the API gives them, and the old one leads to nobody', async () => {
    const { users } = parley.app.imps!.server;
    const change = await fetch(`${parley.api}/api/v1/imps/users/${encodeURIComponent(erin)}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ msisdn: '+15550100010' }),
    });
    expect(await change.json()).toMatchObject({ user: erin, msisdn: '+15550100010', state: 'active' });
    expect((await users.findByMsisdn('15550100010'))?.user).toBe(erin);
    expect(await users.findByMsisdn('+15550100009')).toBeUndefined();
  });
});

describe('system messages of parley imps', () => {
  const answer = (id: string, option: number, key: string): Element =>
    element(
      'SystemMessage-User',
      element(
        'SystemMessageResponseList',
        element(
          'SystemMessageResponse',
          element('SystemMessageID', id),
          element('ChosenOptionID', option),
          element('VerificationKey', key),
        ),
      ),
    );

  it('are shown by the phone, and the answer is in the API and at the command, given once', async () => {
    const client = await phone().start();
    const options = ['--option', 'Accept', '--option', 'Decline', '--require-response', '--key', 'seen-81'];
    const id = await typed('system-message', 'send', erin, 'New terms.', ...options);
    const [got] = await client.drain();
    const asked = child(child(got, 'SystemMessageList'), 'SystemMessage');
    expect([textOf(asked, 'SystemMessageID'), textOf(asked, 'SystemMessageText')]).toEqual([
      id,
      'New terms.',
    ]);
    expect(await typed('system-message', 'list', erin)).toMatch(new RegExp(`${id} .* - +New terms\\.`));
    expect(codeOf(await client.request(answer(id, 2, 'no')))).toBe(402);
    expect(codeOf(await client.request(answer(id, 3, 'seen-81')))).toBe(402);
    expect(codeOf(await client.request(answer(id, 2, 'seen-81')))).toBe(200);
    const url = `${parley.api}/api/v1/imps/users/${encodeURIComponent(erin)}/system-messages`;
    const shown = await (await fetch(url)).text();
    expect(JSON.parse(shown)).toMatchObject({ systemMessages: [{ id, requiresResponse: true, chosen: 2 }] });
    expect(shown).not.toContain('seen-81');
    expect(await typed('system-message', 'list', erin)).toMatch(
      new RegExp(`${id} .* 2: Decline +New terms\\.`),
    );
    expect(codeOf(await client.request(answer(id, 1, 'seen-81')))).toBe(404);
    await client.request(element('Logout-Request'));
    expect(await (await phone().start()).drain()).toEqual([]);
  });

  it('of nobody are 404, and without text 400', async () => {
    await expect(typed('system-message', 'send', 'wv:nobody@ims.test', 'hello')).rejects.toThrow(
      'no such IMPS user',
    );
    await expect(typed('system-message', 'send', erin, '')).rejects.toThrow();
  });
});
