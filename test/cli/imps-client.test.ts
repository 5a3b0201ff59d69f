import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApiClient } from '../../src/cli/api-client.js';
import { impsClientCommand } from '../../src/cli/imps-client.js';
import { child, element } from '../../src/imps/codec/element.js';
import { message } from '../imps/tools/phone.js';
import { userId, world, type World } from '../imps/tools/world.js';

let here: World;
beforeEach(async () => {
  here = await world();
});
afterEach(async () => {
  expect(here.errors).toEqual([]);
  await here.close();
});

/** Runs the command with lines on standard input. @returns what it printed */
async function typed(args: readonly string[], ...lines: readonly string[]): Promise<string[]> {
  const printed: string[] = [];
  const input = new PassThrough();
  input.end(`${lines.join('\n')}\n`);
  const context = {
    api: () => new ApiClient('http://127.0.0.1:1', undefined),
    print: (text: string) => void printed.push(text),
    readSecret: () => Promise.resolve(''),
  };
  const command = impsClientCommand(context, input).exitOverride();
  try {
    await command.parseAsync(['--url', `${here.url}/csp`, '--user', userId('alice'), ...args], {
      from: 'user',
    });
  } catch (error) {
    printed.push(`failed: ${(error as Error).message}`);
  }
  return printed;
}

describe('parley imps client', () => {
  it.each([
    ['wbxml', '1.3', []],
    ['xml', '1.3', ['--two-way']],
    ['xml', '1.1', []],
    ['wbxml', '1.2', []],
    ['text', '1.3', ['--two-way']],
  ] as const)('logs in, sends and receives in %s of CSP %s %j', async (coding, csp, more) => {
    const bob = await here.phone('bob').start();
    await bob.request(message('hello alice', [userId('alice')]));
    const printed = await typed(
      ['--coding', coding, '--csp', csp, ...more],
      'alice-secret',
      'send wv:bob@ims.test hello "bob"',
      'receive',
      'receive',
      'create friends',
      'add friends wv:bob@ims.test',
      '# a remark',
      'status at work',
      'list',
      'quit',
      'send wv:bob@ims.test never',
    );
    expect(printed).toEqual([
      'logged in as wv:alice@ims.test',
      'wv:bob@ims.test: hello alice',
      'nothing waits',
      'wv:alice/friends@ims.test (default)',
      '  wv:bob@ims.test',
    ]);
    expect(await bob.messages()).toEqual(['hello "bob"']);
    expect(here.trail.counts().get('imps.session-ended')).toBe(1);
  });

  it('says what was refused, goes on, and fails at the end', async () => {
    const printed = await typed(
      [],
      'alice-secret',
      'send wv:nobody@ims.test x',
      'dance',
      'add',
      'presence wv:alice@ims.test',
    );
    expect(printed[1]).toBe('refused: 900 Multiple errors (531 Unknown user: wv:nobody@ims.test)');
    expect(printed[2]).toBe('dance is no word of the client: see help');
    expect(printed).toContain('  OnlineStatus T');
    expect(printed.at(-1)).toBe('failed: 3 refused');
  });

  it('says why a login was refused', async () => {
    expect(await typed([], 'wrong')).toEqual(['failed: refused: 409 Invalid password']);
    expect(await typed([], '')).toEqual(['failed: no password was given']);
  });

  it('says that nobody answers, and that the device is logged in already', async () => {
    expect((await typed(['--url', 'http://127.0.0.1:1/csp'], 'alice-secret'))[0]).toMatch(
      /^failed: no answer from http:\/\/127\.0\.0\.1:1: /,
    );
    const device = ['--client-id', 'wv:mine'];
    await here.phone('alice', { clientId: 'wv:mine' }).start();
    expect((await typed(device, 'alice-secret'))[0]).toMatch(/^failed: refused: 603 .*--client-id/);
  });

  it('lets another see its presence', async () => {
    const bob = await here.phone('bob').start();
    const see = element('GetPresence-Request', element('UserIDList', element('UserID', userId('alice'))));
    const seen = async (): Promise<number> =>
      child(child(await bob.request(see), 'Presence'), 'PresenceSubList')?.children.length ?? 0;
    expect(await seen()).toBe(0);
    await typed([], 'alice-secret', 'status busy', 'allow bob', 'presence bob');
    expect(await seen()).toBeGreaterThan(0);
  });
});

describe('parley imps client at a terminal', () => {
  /** Input and output as a person has them. */
  function atTerminal(): {
    readonly type: (text: string) => void;
    readonly until: (text: string) => Promise<string>;
    readonly ended: Promise<unknown>;
  } {
    const input = Object.assign(new PassThrough(), { isTTY: true });
    const output = new PassThrough();
    let shown = '';
    const waiting: { readonly text: string; readonly seen: (all: string) => void }[] = [];
    output.on('data', (chunk: Buffer) => {
      shown += chunk.toString();
      for (const wish of waiting) if (shown.includes(wish.text)) wish.seen(shown);
    });
    const context = {
      api: () => new ApiClient('http://127.0.0.1:1', undefined),
      print: () => undefined,
      readSecret: () => Promise.resolve(''),
    };
    const command = impsClientCommand(context, input, output).exitOverride();
    const args = ['--url', `${here.url}/csp`, '--user', userId('alice')];
    const ended = command.parseAsync(args, { from: 'user' }).catch((error: unknown) => error);
    return {
      type: (text) => input.write(text),
      until: (text) =>
        shown.includes(text)
          ? Promise.resolve(shown)
          : new Promise((resolve) => waiting.push({ text, seen: resolve })),
      ended,
    };
  }

  async function sessionsOfAlice(): Promise<string[]> {
    const ids: string[] = [];
    for await (const { id } of here.server.sessions(userId('alice'))) ids.push(id);
    return ids;
  }

  it('has a prompt, hides the password, acknowledges words, shows messages as they come, and ends at Ctrl-C', async () => {
    const bob = await here.phone('bob').start();
    const screen = atTerminal();
    await screen.until('Password: ');
    screen.type('alice-secret\r');
    await screen.until('> ');
    screen.type('send bob hello\r');
    await screen.until('done');
    expect(await bob.messages()).toEqual(['hello']);
    await bob.request(message('hello yourself', [userId('alice')]));
    const all = await screen.until('wv:bob@ims.test: hello yourself');
    expect(all).not.toContain('alice-secret');
    screen.type('\u0003');
    await screen.ended;
    expect(await sessionsOfAlice()).toEqual([]);
  });

  it('says that the server ended the session, and ends', async () => {
    const screen = atTerminal();
    await screen.until('Password: ');
    screen.type('alice-secret\r');
    await screen.until('> ');
    for (const id of await sessionsOfAlice()) await here.server.disconnect(id);
    await screen.until('the session has ended: 601');
    await screen.ended;
  });
});
