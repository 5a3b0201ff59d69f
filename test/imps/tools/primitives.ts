import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Element } from '../../../src/imps/codec/element.js';
import { sealEnvelope } from '../../../src/imps/codec/envelope.js';
import { defaultLimits } from '../../../src/imps/codec/limits.js';
import { readXml } from '../../../src/imps/codec/xml-reader.js';
import { tokenTables } from '../../../src/imps/vocabulary/tables.js';
import type { CspVersion } from '../../../src/imps/vocabulary/versions.js';

const file = join(resolve('test/fixtures/imps'), 'primitives.xml');
const all = readXml(readFileSync(file), defaultLimits).root.children;

const notNamedSo: ReadonlySet<string> = new Set([
  'Status',
  'Disconnect',
  'NewMessage',
  'MessageDelivered',
  'MessageNotification',
  'GroupChangeNotice',
]);

/** Names of the primitives that a version has tokens for. */
export const primitiveNames = (version: CspVersion): string[] =>
  [...tokenTables[version].tokens.keys()]
    .filter((name) => notNamedSo.has(name) || /-(?:Request|Response|User)$/.test(name))
    .sort();

/** Lists of 1.3 whose content stands without them before. */
const wrappers: ReadonlySet<string> = new Set(['UserIDList', 'ContactListIDList', 'MessageInfoList']);

/** One primitive of each kind that the version has, made of the elements that it has. */
export const primitivesOf = (version: CspVersion): Element[] =>
  all
    .filter(({ name }) => tokenTables[version].tokens.has(name))
    .map((primitive) => inVersion(primitive, version));

function inVersion(given: Element, version: CspVersion): Element {
  const { tokens } = tokenTables[version];
  const children = given.children
    .flatMap((inner) => (!tokens.has(inner.name) && wrappers.has(inner.name) ? inner.children : [inner]))
    .filter(({ name }) => tokens.has(name))
    .map((inner) => inVersion(inner, version));
  return { ...given, children };
}

/** A primitive in a message of one transaction. */
export const documentOf = (primitive: Element, version: CspVersion, sessionId = 's-7f3a'): Element =>
  sealEnvelope({
    version,
    sessionType: 'Inband',
    sessionId,
    transactions: [{ mode: 'Request', id: '8', primitive }],
    poll: undefined,
    cir: undefined,
  });
