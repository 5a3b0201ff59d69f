import { impsError } from '../errors.js';
import type { PlainTextCodes } from '../vocabulary/plain-text.js';
import type { Element } from './element.js';
import type { CspMessage } from './envelope.js';
import { formatValue, type TextValue } from './text-grammar.js';
import { messageInfoParts, resultParts, withMessageInfo, withOwnSession } from './text-reader.js';
import { plain } from './text-shape.js';
import { shapes } from './text-shapes.js';

/** Lists of 1.3 that hold what earlier versions, and this syntax, write without them. */
const wrappers: ReadonlySet<string> = new Set(['ContactListIDList', 'UserIDList']);
const unwrapped: ReadonlySet<string> = new Set([
  'GetList-Response',
  'SubscribePresence-Request',
  'UnsubscribePresence-Request',
  'GetPresence-Request',
  'CreateAttributeList-Request',
  'DeleteAttributeList-Request',
  'GetAttributeList-Request',
]);

/**
 * Writes a message of one transaction in the plain text syntax.
 * @throws ParleyError `imps-text-malformed` when the Transaction-ID is none of 0 to 999
 */
export function writeText(message: CspMessage, codes: PlainTextCodes): string {
  const [transaction, ...more] = message.transactions;
  if (!transaction?.primitive || more.length > 0)
    throw impsError('imps-text-malformed', 'not one transaction');
  const { id, primitive } = transaction;
  if (!/^(?:|0|[1-9]\d{0,2})$/.test(id)) throw impsError('imps-text-malformed', 'a Transaction-ID over 999');
  const code = codes.primitiveCodes.get(primitive.name);
  if (code === undefined) throw impsError('imps-text-malformed', `no code for ${primitive.name}`);
  const pieces = [`WV${message.version.replace('.', '')}${code}${id}`];
  if (message.sessionId !== undefined && !withOwnSession.has(primitive.name))
    pieces.push(`SI=${formatValue(message.sessionId)}`);
  for (const [name, value] of parametersOf(primitive, codes)) pieces.push(`${name}=${formatValue(value)}`);
  return pieces.join(' ');
}

function parametersOf(primitive: Element, codes: PlainTextCodes): [string, TextValue][] {
  const parameters: [string, TextValue][] = [];
  /** Place of the parameter that further elements of a name join: texts, and presence. */
  const joint = new Map<string, number>();
  const add = (given: Element): void => {
    const { name } = given;
    const shaped = shapes[name]?.write(given);
    const value = shaped ?? plain.write(given)!;
    // a value that only the plain shape can hold goes under the full name, where nobody expects a shape
    const code = shapes[name] && shaped === undefined ? name : codeOf(given, primitive.name, codes);
    const joins = shapes[name] ? name === 'Presence' && shaped !== undefined : typeof value === 'string';
    const at = joins ? joint.get(code) : undefined;
    if (at === undefined) {
      if (joins) joint.set(code, parameters.length);
      parameters.push([code, joins && name === 'Presence' ? [value] : value]);
    } else {
      const before = parameters[at]![1];
      parameters[at] = [code, [...(typeof before === 'string' ? [before] : before), value]];
    }
  };
  for (const given of primitive.children) {
    if (wrappers.has(given.name) && unwrapped.has(primitive.name)) given.children.forEach(add);
    else if (given.name === 'MessageInfo' && withMessageInfo.has(primitive.name)) {
      for (const part of given.children) if (messageInfoParts.has(part.name)) add(part);
    } else add(given);
    if (given.name === 'Result') {
      for (const part of given.children) if (resultParts.has(part.name)) add(part);
    }
  }
  return parameters;
}

function codeOf({ name }: Element, primitive: string, codes: PlainTextCodes): string {
  if (name === 'Functions' && primitive.endsWith('-Response')) return 'NF';
  if (name === 'PresenceSubList' && primitive === 'UpdatePresence-Request') return 'UV';
  return codes.elementCodes.get(name) ?? name;
}
