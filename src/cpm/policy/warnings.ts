import type { HeaderMap } from '../../sip/message/headers.js';
import { writeWarning } from '../../sip/message/warning.js';

/** Texts that clients look for in Warning 399, by error code; after 127 they do not ask again. */
const texts: Readonly<Record<string, string>> = {
  'cpm-not-entitled': '127 Service not authorised',
  'cpm-size-exceeded': '133 Size exceeded',
  'group-not-a-member': '127 Service not authorised',
};

/** Warning of a refusal, for codes that have one. @param agent the domain that warns. */
export function warningOf(code: string, agent: string): HeaderMap {
  const text = texts[code];
  return text === undefined ? {} : { Warning: writeWarning({ code: 399, agent, text }) };
}
