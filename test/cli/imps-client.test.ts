import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApiClient } from '../../src/cli/api-client.js';
import { impsClientCommand } from '../../src/cli/imps-client.js';
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
    expect(printed[1]).toMatch(/^refused: \d+ /);
    expect(printed[2]).toBe('dance is no word of the client: see help');
    expect(printed).toContain('  OnlineStatus T');
    expect(printed.at(-1)).toBe('failed: 3 refused');
  });

  it('says why a login was refused', async () => {
    expect(await typed([], 'wrong')).toEqual(['failed: refused: 409 Invalid password']);
    expect(await typed([], '')).toEqual(['failed: no password was given']);
  });
});
