import { createInterface } from 'node:readline/promises';
import { Command, Option } from 'commander';
import {
  child,
  childrenOf,
  codeOf,
  CspClient,
  element,
  message,
  textCoding,
  textOf,
  wbxmlCoding,
  xmlCoding,
  type Element,
} from '../imps/index.js';
import { CommandError } from './api-client.js';
import type { CommandContext } from './program.js';

const codings = { wbxml: wbxmlCoding, xml: xmlCoding, text: textCoding } as const;

interface ClientCommandOptions {
  readonly url: string;
  readonly user: string;
  readonly csp: '1.1' | '1.2' | '1.3';
  readonly coding: keyof typeof codings;
  readonly clientId?: string;
  readonly twoWay?: boolean;
}

const HELP = `  list                 contact lists, their contacts and who is online
  create NAME          a contact list
  add NAME USER        a contact to it
  send USER TEXT       an instant message
  receive              everything that waits
  wait SECONDS         polls so long, once a second
  presence USER        what you may see of somebody
  status TEXT          what others see of you
  quit                 log out`;

/** A word of the client: what it sends, and what it prints of the answer. @throws CommandError when it was refused */
type Word = (client: CspClient, rest: string, print: (line: string) => void) => Promise<void>;

/** @throws CommandError when the Result is another than 200 */
function accepted(answer: Element): Element {
  const result = child(answer, 'Result');
  const code = Number(textOf(result, 'Code') ?? 200);
  if (code !== 200) throw new CommandError(`refused: ${code} ${textOf(result, 'Description') ?? ''}`.trim());
  return answer;
}

const split = (rest: string): [string, string] => {
  const [, first = '', second = ''] = /^(\S+)\s*(.*)$/.exec(rest) ?? [];
  if (first === '') throw new CommandError('something is missing: see help');
  return [first, second];
};

const listId = (client: CspClient, name: string): string => {
  const [user, domain] = client.options.user.split('@') as [string, string?];
  return `${user}/${name}${domain === undefined ? '' : `@${domain}`}`;
};

/** Every message is acknowledged as it is printed; other requests of the server are named. */
async function receive(client: CspClient, print: (line: string) => void): Promise<number> {
  const seen = await client.drain();
  for (const primitive of seen) {
    const info = child(primitive, 'MessageInfo');
    const sender = child(info, 'Sender');
    const from = textOf(child(sender, 'User'), 'UserID') ?? textOf(child(sender, 'Group'), 'GroupID') ?? '?';
    if (primitive.name === 'NewMessage') print(`${from}: ${textOf(primitive, 'ContentData') ?? ''}`);
    else print(`* ${primitive.name}`);
  }
  return seen.length;
}

const words: Readonly<Record<string, Word>> = {
  help: async (_client, _rest, print) => print(HELP),
  list: async (client, _rest, print) => {
    const answer = accepted(await client.request(element('GetList-Request')));
    const named = child(answer, 'ContactListIDList') ?? answer;
    const lists = childrenOf(named, 'ContactList').map(({ text }) => text);
    const standard = textOf(answer, 'DefaultContactList');
    if (standard !== undefined && !lists.includes(standard)) lists.unshift(standard);
    if (lists.length === 0) print('no contact lists');
    for (const list of lists) {
      print(list === standard ? `${list} (default)` : list);
      const content = accepted(
        await client.request(
          element('ListManage-Request', element('ContactList', list), element('ReceiveList', true)),
        ),
      );
      for (const contact of child(content, 'NickList')?.children ?? []) {
        const user = contact.name === 'UserID' ? contact.text : (textOf(contact, 'UserID') ?? '');
        print(`  ${user} ${textOf(contact, 'Name') ?? ''}`.trimEnd());
      }
    }
  },
  create: async (client, rest) => {
    const [name] = split(rest);
    accepted(
      await client.request(element('CreateList-Request', element('ContactList', listId(client, name)))),
    );
  },
  add: async (client, rest) => {
    const [name, user] = split(rest);
    accepted(
      await client.request(
        element(
          'ListManage-Request',
          element('ContactList', listId(client, name)),
          element('AddNickList', element('UserID', user)),
          element('ReceiveList', false),
        ),
      ),
    );
  },
  send: async (client, rest) => {
    const [user, text] = split(rest);
    accepted(await client.request(message(text, [user])));
  },
  receive: async (client, _rest, print) => {
    if ((await receive(client, print)) === 0) print('nothing waits');
  },
  wait: async (client, rest, print) => {
    const end = Date.now() + Number(split(rest)[0]) * 1000;
    do {
      await receive(client, print);
      await new Promise((resolve) => setTimeout(resolve, Math.min(1000, Math.max(0, end - Date.now()))));
    } while (Date.now() < end);
    await receive(client, print);
  },
  presence: async (client, rest, print) => {
    const user = element('UserID', split(rest)[0]);
    const who = client.version === '1.3' ? element('UserIDList', user) : element('User', user);
    const answer = accepted(await client.request(element('GetPresence-Request', who)));
    for (const attribute of child(child(answer, 'Presence'), 'PresenceSubList')?.children ?? [])
      print(`  ${attribute.name} ${textOf(attribute, 'PresenceValue') ?? ''}`.trimEnd());
  },
  status: async (client, rest) => {
    const text = element('StatusText', element('Qualifier', true), element('PresenceValue', rest));
    accepted(await client.request(element('UpdatePresence-Request', element('PresenceSubList', text))));
  },
};

/**
 * Reads words line by line until `quit` or the end, then logs out.
 * @returns how many lines were refused
 */
export async function converse(
  client: CspClient,
  lines: AsyncIterable<string>,
  print: (line: string) => void,
): Promise<number> {
  let refused = 0;
  for await (const line of lines) {
    const [, word = '', rest = ''] = /^\s*(\S*)\s*(.*?)\s*$/.exec(line) ?? [];
    if (word === '' || word.startsWith('#')) continue;
    if (word === 'quit') break;
    try {
      const run = Object.hasOwn(words, word) ? words[word] : undefined;
      if (!run) throw new CommandError(`${word} is no word of the client: see help`);
      await run(client, rest, print);
    } catch (error) {
      refused++;
      print(error instanceof Error ? error.message : String(error));
    }
  }
  await client.request(element('Logout-Request'));
  return refused;
}

/** Logs in and negotiates. @throws CommandError when the server refuses */
export async function logIn(client: CspClient, twoWay: boolean): Promise<void> {
  const answer = twoWay ? await client.login2() : await client.login4(['MD5', 'SHA']);
  if (codeOf(answer) !== 200 || client.sessionId === undefined) accepted(answer);
  await client.negotiate();
}

/** `parley imps client`: a phone at the terminal. Words come from standard input, so that scripts can use it. */
export function impsClientCommand(
  { print }: CommandContext,
  input: NodeJS.ReadableStream = process.stdin,
): Command {
  return new Command('client')
    .description('log in as a phone: list, send and receive; reads words from standard input')
    .requiredOption('--user <id>', 'User-ID, wv:USER@DOMAIN')
    .option('--url <url>', 'CSP over HTTP', 'http://127.0.0.1:8090/csp')
    .addOption(new Option('--csp <version>', 'version').choices(['1.1', '1.2', '1.3']).default('1.3'))
    .addOption(new Option('--coding <coding>', 'syntax').choices(Object.keys(codings)).default('wbxml'))
    .option('--client-id <id>', 'Client-ID; another one is another device')
    .option('--two-way', 'send the password in the clear instead of a digest')
    .addHelpText(
      'after',
      `\nThe password comes from PARLEY_IMPS_PASSWORD, else it is the first line of standard input.\n\nWords:\n${HELP}`,
    )
    .action(async ({ url, user, csp, coding, clientId, twoWay }: ClientCommandOptions) => {
      const lines = createInterface({ input })[Symbol.asyncIterator]();
      const password = process.env['PARLEY_IMPS_PASSWORD'] ?? (await prompted(lines));
      const client = new CspClient({
        url: url.replace(/\/csp$/, ''),
        user,
        password,
        version: csp,
        coding: codings[coding],
        ...(clientId === undefined ? {} : { clientId }),
      });
      await logIn(client, twoWay === true);
      print(`logged in as ${user}`);
      const refused = await converse(client, { [Symbol.asyncIterator]: () => lines }, print);
      if (refused > 0 && !process.stdin.isTTY) throw new CommandError(`${refused} refused`);
    });
}

async function prompted(lines: AsyncIterator<string>): Promise<string> {
  if (process.stdin.isTTY) process.stderr.write('Password: ');
  const next = await lines.next();
  if (next.done === true || next.value === '') throw new CommandError('no password was given');
  return next.value;
}
