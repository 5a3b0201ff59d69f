import { bad, parseParams, type Params } from './lexer.js';

/** A Replaces value: the dialog to take the place of (RFC 3891 §6.1). */
export interface Replaces {
  readonly callId: string;
  readonly toTag: string;
  readonly fromTag: string;
  /** Only as long as that dialog is early. */
  readonly earlyOnly: boolean;
}

/** @throws ParleyError `sip-bad-header` */
export function parseReplaces(text: string): Replaces {
  const semicolon = text.indexOf(';');
  const callId = (semicolon < 0 ? text : text.slice(0, semicolon)).trim();
  if (!/^[^\s,]+$/.test(callId)) throw bad('Replaces', 'no Call-ID');
  const params = semicolon < 0 ? new Map<string, string | null>() : parseParams(text, semicolon, 'Replaces');
  return {
    callId,
    toTag: tag(params, 'to-tag'),
    fromTag: tag(params, 'from-tag'),
    earlyOnly: params.has('early-only'),
  };
}

export function writeReplaces({ callId, toTag, fromTag, earlyOnly }: Replaces): string {
  return `${callId};to-tag=${toTag};from-tag=${fromTag}${earlyOnly ? ';early-only' : ''}`;
}

function tag(params: Params, name: string): string {
  const value = params.get(name);
  if (!value) throw bad('Replaces', `no ${name}`);
  return value;
}
