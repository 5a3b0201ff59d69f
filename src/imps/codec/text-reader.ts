import { impsError } from '../errors.js';
import type { PlainTextCodes } from '../vocabulary/plain-text.js';
import type { CspVersion } from '../vocabulary/versions.js';
import { element, type Element } from './element.js';
import type { CspMessage } from './envelope.js';
import type { CodecLimits } from './limits.js';
import { parseParameters, type TextParameter } from './text-grammar.js';
import { plain } from './text-shape.js';
import { shapes } from './text-shapes.js';

/** A message as read; `version` is undefined when it is none that this server speaks. */
export interface TextMessage {
  readonly message: Omit<CspMessage, 'version'>;
  readonly version: CspVersion | undefined;
}

/** `WV`, version, primitive, Transaction-ID, and the letters of a part of a message in several. */
export const preamble = /^WV(\d\d|XX)([A-Za-z]{2})(\d{0,3})([a-z]{2})?(?: |$)/;

const versionOf: Readonly<Record<string, CspVersion>> = { '11': '1.1', '12': '1.2', '13': '1.3', XX: '1.3' };

/** Primitives whose MessageInfo is written as parameters of the message, and what of them stands outside. */
export const withMessageInfo: ReadonlySet<string> = new Set([
  'SendMessage-Request',
  'NewMessage',
  'GetMessage-Response',
  'MessageNotification',
  'DeliveryReport-Request',
]);
export const messageInfoParts: ReadonlySet<string> = new Set([
  'MessageID',
  'MessageURI',
  'ContentType',
  'ContentEncoding',
  'ContentSize',
  'ContentName',
  'Recipient',
  'Sender',
  'DateTime',
  'Font',
  'Validity',
]);
/** What of a Result is written as a parameter beside `ST`. */
export const resultParts: ReadonlySet<string> = new Set([
  'DetailedResult',
  'SystemMessageList',
  'TryAgainTimeout',
]);

/**
 * Reads a message of the plain text syntax. A code that stands for nothing becomes a primitive of that name, which
 * the server then refuses as one that it does not have.
 * @throws ParleyError `imps-text-malformed`, `imps-too-large`
 */
export function readText(text: string, codes: PlainTextCodes, limits: CodecLimits): TextMessage {
  const head = preamble.exec(text);
  if (!head) throw impsError('imps-text-malformed', 'no preamble');
  const [whole, digits, code, id, part] = head as unknown as [string, string, string, string, string?];
  if (part !== undefined && part !== 'aa') throw impsError('imps-text-malformed', 'one part of several');
  const known = codes.primitives.get(code.toUpperCase());
  const name = known?.name ?? `Unknown-${code.toUpperCase()}`;
  const parameters = parseParameters(text.slice(whole.length), limits);
  const { sessionId, children } = contentOf(name, parameters, codes);
  return {
    version: versionOf[digits],
    message: {
      sessionType: sessionId === undefined ? 'Outband' : 'Inband',
      sessionId,
      transactions: [{ mode: known?.mode ?? 'Request', id, primitive: element(name, children) }],
      poll: undefined,
      cir: undefined,
    },
  };
}

/** Their session is the one that is begun, or to be re-established: the message is of none. */
export const withOwnSession: ReadonlySet<string> = new Set(['Login-Request', 'Login-Response']);

function contentOf(
  primitive: string,
  parameters: readonly TextParameter[],
  codes: PlainTextCodes,
): { readonly sessionId: string | undefined; readonly children: readonly Element[] } {
  let sessionId: string | undefined;
  const children: Element[] = [];
  const info: Element[] = [];
  const inResult: Element[] = [];
  for (const { name: code, value } of parameters) {
    const name = nameOf(code, codes);
    if (name === 'SessionID' && !withOwnSession.has(primitive)) {
      sessionId = typeof value === 'string' && value !== '' ? value : undefined;
      continue;
    }
    const inInfo = withMessageInfo.has(primitive) && messageInfoParts.has(name);
    const place = inInfo ? info : resultParts.has(name) ? inResult : children;
    for (const one of several(name, value)) place.push((shapes[name] ?? plain).read(name, one));
  }
  const result = children.findIndex(({ name }) => name === 'Result');
  if (result >= 0) children[result] = element('Result', children[result]!.children, inResult);
  else children.push(...inResult);
  if (info.length > 0) {
    const after = children.findIndex(({ name }) => name === 'ContentData');
    children.splice(after < 0 ? children.length : after, 0, element('MessageInfo', info));
  }
  return { sessionId, children };
}

const nameOf = (code: string, codes: PlainTextCodes): string => {
  const upper = code.toUpperCase();
  if (upper === 'NF') return 'Functions';
  if (upper === 'UV') return 'PresenceSubList';
  return (code.length === 2 ? codes.elements.get(upper) : undefined) ?? code;
};

/** One value an element: `UI=(wv:a,wv:b)` are two UserIDs, `PR=((wv:a,…),(wv:b,…))` is the presence of two. */
function several(name: string, value: TextParameter['value']): readonly TextParameter['value'][] {
  if (typeof value === 'string') return [value];
  if (name === 'Presence') return typeof value[0] === 'string' || isPair(value[0]) ? [value] : value;
  if (shapes[name]) return [value];
  return value.every((item) => typeof item === 'string') ? value : [value];
}

/** Whether a value is the pair of a child's name and content, as in {@link plain}. */
const isPair = (value: TextParameter['value'] | undefined): boolean =>
  Array.isArray(value) && (value[0] === 'UserID' || value[0] === 'ContactList');
