import { randomUUID } from 'node:crypto';
import {
  child,
  childrenOf,
  codeOf,
  CspClient,
  element,
  message,
  SessionEnded,
  textCoding,
  textOf,
  wbxmlCoding,
  xmlCoding,
  type Element,
} from '../imps/index.js';
import { CommandError } from './api-client.js';
import { HELP, type ClientCommandOptions } from './imps-client.js';
import type { Terminal } from './terminal.js';

const codings = { wbxml: wbxmlCoding, xml: xmlCoding, text: textCoding } as const;

/** How often what waits is looked for at a terminal, milliseconds. */
const LOOK_MS = 2000;

/** A word of the client: what it sends, and what it prints of the answer. @throws CommandError when it was refused */
type Word = (client: CspClient, rest: string, print: (line: string) => void) => Promise<void>;

/** @throws CommandError when the Result is another than 200 */
function accepted(answer: Element): Element {
  const result = child(answer, 'Result');
  const code = Number(textOf(result, 'Code') ?? 200);
  if (code !== 200)
    throw new CommandError(
      ['refused:', reason(result), ...childrenOf(result, 'DetailedResult').map(detail)].join(' '),
    );
  return answer;
}

const reason = (of: Element | undefined): string =>
  `${textOf(of, 'Code') ?? ''} ${textOf(of, 'Description') ?? ''}`.trim();

/** A code, and what it is of: `(531 Unknown user: wv:nobody@ims.test)`. */
const detail = (of: Element): string => {
  const names = of.children.filter(({ name }) => name !== 'Code' && name !== 'Description');
  return `(${reason(of)}: ${names.map(({ text }) => text).join(' ')})`;
};

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
    if (primitive.name === 'NewMessage') print(`${from}: ${contentOf(primitive)}`);
    else print(`* ${primitive.name}`);
  }
  return seen.length;
}

function contentOf(message: Element): string {
  const info = child(message, 'MessageInfo');
  const type = textOf(info, 'ContentType') ?? 'text/plain';
  if (type.startsWith('text/')) return textOf(message, 'ContentData') ?? '';
  return `[${type}, ${textOf(info, 'ContentSize') ?? '?'} octets]`;
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
    const attributes = child(child(answer, 'Presence'), 'PresenceSubList')?.children ?? [];
    if (attributes.length === 0) print('nothing that you may see');
    for (const attribute of attributes)
      print(`  ${attribute.name} ${textOf(attribute, 'PresenceValue') ?? ''}`.trimEnd());
  },
  allow: async (client, rest) => {
    const user = element('UserID', split(rest)[0]);
    accepted(
      await client.request(
        element(
          'CreateAttributeList-Request',
          element(
            'PresenceSubList',
            ['OnlineStatus', 'UserAvailability', 'StatusText', 'Alias'].map((name) => element(name)),
          ),
          client.version === '1.3' ? element('UserIDList', user) : user,
          element('DefaultList', false),
        ),
      ),
    );
  },
  status: async (client, rest) => {
    const text = element('StatusText', element('Qualifier', true), element('PresenceValue', rest));
    accepted(await client.request(element('UpdatePresence-Request', element('PresenceSubList', text))));
  },
};

/** Work that must not overlap, since both read what waits. */
function oneAtATime(): (work: () => Promise<unknown>) => Promise<void> {
  let last: Promise<unknown> = Promise.resolve();
  return async (work) => {
    const mine = last.then(work);
    last = mine.catch(() => undefined);
    await mine;
  };
}

/**
 * Reads words line by line until `quit` or the end, then logs out. At a terminal what waits is shown as it comes, and a
 * word that printed nothing is acknowledged.
 * @returns how many lines were refused
 */
async function converse(
  client: CspClient,
  terminal: Terminal,
  print: (line: string) => void,
): Promise<number> {
  const turn = oneAtATime();
  const look = (): void =>
    void turn(() => receive(client, print)).catch((error: unknown) => {
      if (!(error instanceof SessionEnded)) return; // what fails for a moment is tried again
      print(error.message);
      terminal.close();
    });
  const timer = terminal.interactive ? setInterval(look, LOOK_MS) : undefined;
  let refused = 0;
  try {
    for await (const line of terminal) {
      const [, word = '', rest = ''] = /^\s*(\S*)\s*(.*?)\s*$/.exec(line) ?? [];
      if (word === '' || word.startsWith('#')) continue;
      if (word === 'quit') break;
      try {
        await turn(() => say(client, word, rest, terminal, print));
      } catch (error) {
        if (error instanceof SessionEnded) throw new CommandError(error.message);
        refused++;
        print(error instanceof Error ? error.message : String(error));
      }
    }
  } finally {
    clearInterval(timer);
  }
  await turn(() => client.request(element('Logout-Request')));
  return refused;
}

async function say(
  client: CspClient,
  word: string,
  rest: string,
  { interactive }: Terminal,
  print: (line: string) => void,
): Promise<void> {
  const run = Object.hasOwn(words, word) ? words[word] : undefined;
  if (!run) throw new CommandError(`${word} is no word of the client: see help`);
  let printed = false;
  await run(client, rest, (line) => {
    printed = true;
    print(line);
  });
  if (interactive && !printed) print('done');
}

/** Logs in and negotiates. @throws CommandError when the server refuses, or is not there */
async function logIn(client: CspClient, twoWay: boolean): Promise<void> {
  const answer = await (twoWay ? client.login2() : client.login4(['MD5', 'SHA'])).catch((error: unknown) => {
    throw new CommandError(`no answer from ${client.options.url}: ${reasonOf(error)}`);
  });
  if (codeOf(answer) === 603)
    throw new CommandError(
      'refused: 603 Already logged in: another --client-id is another device, parley imps disconnect ends the session',
    );
  if (codeOf(answer) !== 200 || client.sessionId === undefined) accepted(answer);
  await client.negotiate();
}

/** Of a failed fetch its cause says more. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}

/**
 * Logs in as a phone and reads words until `quit` or the end.
 * @param print for what scripts read; at a terminal lines stand above what is being typed
 * @throws CommandError when the server or, in a script, a word was refused
 */
export async function runClient(
  { url, user, csp, coding, clientId, twoWay }: ClientCommandOptions,
  terminal: Terminal,
  password: string,
  print: (line: string) => void,
): Promise<void> {
  const client = new CspClient({
    url: url.replace(/\/csp$/, ''),
    user,
    password,
    version: csp,
    coding: codings[coding],
    ...(clientId === undefined ? {} : { clientId }),
  });
  // a login of another run is no repeat of this one
  client.cookie = randomUUID();
  const show = terminal.interactive ? (line: string): void => terminal.print(line) : print;
  await logIn(client, twoWay === true);
  show(`logged in as ${user}`);
  if (terminal.interactive) show('help lists the words, quit logs out');
  const refused = await converse(client, terminal, show);
  if (refused > 0 && !terminal.interactive) throw new CommandError(`${refused} refused`);
}
