import { impsError } from '../errors.js';
import { byName } from '../vocabulary/by-name.js';
import { plainTextCodes, type PlainTextCodes } from '../vocabulary/plain-text.js';
import type { CspVersion } from '../vocabulary/versions.js';
import { charsetByName, utf8, type Charset } from './charset.js';
import { openEnvelope, sealEnvelope, type CspMessage } from './envelope.js';
import { defaultLimits, type CodecLimits } from './limits.js';
import { readText } from './text-reader.js';
import { writeText } from './text-writer.js';
import { readWbxml } from './wbxml-reader.js';
import { writeWbxml } from './wbxml-writer.js';
import { readXml } from './xml-reader.js';
import { writeXml } from './xml-writer.js';

/** How a message was written, so that its answer is written the same way. */
export interface Coding {
  readonly syntax: 'xml' | 'wbxml' | 'text';
  /** The content type as the client spelt it, without parameters; the answer goes out with it. */
  readonly contentType: string;
  readonly charset: Charset;
}

/** A message as read. `versionKnown` false means the message is in no version of CSP that Parley speaks. */
export interface ReadMessage {
  readonly message: CspMessage;
  readonly coding: Coding;
  readonly versionKnown: boolean;
  readonly defect: string | undefined;
}

/** What an unknown version is answered in. */
const FALLBACK: CspVersion = '1.3';

const contentTypes: Readonly<Record<string, Coding['syntax']>> = byName({
  'application/vnd.wv.csp.xml': 'xml',
  'application/vnd.wv.csp+xml': 'xml',
  'application/vnd.wv.csp.wbxml': 'wbxml',
  'application/vnd.wv.csp+wbxml': 'wbxml',
  'application/vnd.wv.csp.sms': 'text',
});

const standardCodes = plainTextCodes();

/**
 * Reads a message by its content type; both spellings (dot and plus) serve every version.
 * @throws ParleyError of the codec, or `imps-content-type`
 */
export function readMessage(
  bytes: Uint8Array,
  contentTypeHeader: string,
  limits: CodecLimits = defaultLimits,
  codes: PlainTextCodes = standardCodes,
): ReadMessage {
  const [type = '', ...parameters] = contentTypeHeader.split(';');
  const contentType = type.trim().toLowerCase();
  const syntax = contentTypes[contentType];
  if (syntax === undefined) throw impsError('imps-content-type', contentType.slice(0, 80));
  const charsetName = parameters
    .map((parameter) => /^\s*charset\s*=\s*"?([^"\s]+)"?\s*$/i.exec(parameter)?.[1])
    .find((name) => name !== undefined);
  if (syntax === 'text') return readPlainText(bytes, contentType, charsetName, limits, codes);
  const document = syntax === 'wbxml' ? readWbxml(bytes, limits) : readXml(bytes, limits, charsetName);
  return {
    message: openEnvelope(document.root, document.version ?? FALLBACK),
    coding: { syntax, contentType, charset: document.charset },
    versionKnown: document.version !== undefined,
    defect: document.defect,
  };
}

function readPlainText(
  bytes: Uint8Array,
  contentType: string,
  charsetName: string | undefined,
  limits: CodecLimits,
  codes: PlainTextCodes,
): ReadMessage {
  if (bytes.length > limits.bytes) throw impsError('imps-too-large', `${bytes.length} octets`);
  const charset = charsetName === undefined ? utf8 : charsetByName(charsetName);
  const { message, version } = readText(charset.decode(bytes), codes, limits);
  return {
    message: { ...message, version: version ?? FALLBACK },
    coding: { syntax: 'text', contentType, charset },
    versionKnown: version !== undefined,
    defect: undefined,
  };
}

/**
 * Writes a message in its version and the given coding.
 * @throws ParleyError `imps-text-malformed` when the plain text syntax has no way to write it
 */
export function writeMessage(
  message: CspMessage,
  coding: Coding,
  codes: PlainTextCodes = standardCodes,
): Buffer {
  if (coding.syntax === 'text') {
    const text = writeText(message, codes);
    return Buffer.from(coding.charset.encode(text, () => Buffer.from('?')));
  }
  const root = sealEnvelope(message);
  return coding.syntax === 'wbxml'
    ? writeWbxml(root, message.version, coding.charset)
    : writeXml(root, coding.charset);
}

/** The coding that most phones speak, for tools that start a conversation themselves. */
export const wbxmlCoding: Coding = {
  syntax: 'wbxml',
  contentType: 'application/vnd.wv.csp.wbxml',
  charset: utf8,
};
export const xmlCoding: Coding = { syntax: 'xml', contentType: 'application/vnd.wv.csp.xml', charset: utf8 };
/** The coding of CSP over SMS. */
export const textCoding: Coding = {
  syntax: 'text',
  contentType: 'application/vnd.wv.csp.sms',
  charset: utf8,
};
