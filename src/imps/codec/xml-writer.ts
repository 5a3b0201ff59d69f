import { utf8, type Charset } from './charset.js';
import type { Element } from './element.js';

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };
/** Characters that XML 1.0 §2.2 does not let into a document, whatever way they are written. */
const illegal = /(?![\t\n\r\u007f-\u009f])\p{Cc}|[\p{Cs}\ufffe\uffff]/gu;
const special = /[&<>\p{Cc}\p{Cs}\ufffe\uffff]/u;

/**
 * Writes a document as XML. Only `& < >` are escaped and CDATA is never used: a phone's reader in the field keeps
 * just the last piece of a text that its parser delivers in several.
 */
export function writeXml(root: Element, charset: Charset = utf8): Buffer {
  const text = `<?xml version="1.0" encoding="${charset.name}"?>${write(root)}`;
  if (charset === utf8) return Buffer.from(text, 'utf8');
  const body = charset.encode(text, (codePoint) => Buffer.from(`&#${codePoint};`, 'latin1'));
  // UTF-16 without an order in its name starts with a byte order mark (RFC 2781 §3.2)
  return charset.name === 'UTF-16' ? Buffer.concat([Uint8Array.of(0xfe, 0xff), body]) : Buffer.from(body);
}

function write(element: Element): string {
  const { name, namespace, children } = element;
  const start =
    namespace === undefined ? name : `${name} xmlns="${escape(namespace).replaceAll('"', '&quot;')}"`;
  if (children.length > 0) {
    let inside = '';
    for (const inner of children) inside += write(inner);
    return `<${start}>${inside}</${name}>`;
  }
  const text = element.bytes === undefined ? element.text : Buffer.from(element.bytes).toString('base64');
  return text === '' ? `<${start}/>` : `<${start}>${escape(text)}</${name}>`;
}

function escape(text: string): string {
  if (!special.test(text)) return text;
  return text.replace(/[&<>]/g, (character) => escapes[character]!).replace(illegal, '\ufffd');
}
