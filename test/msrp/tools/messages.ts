import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MessageParser, type ContinuationFlag, type MessageHead } from '../../../src/msrp/message/index.js';

export interface ParsedMessage {
  readonly head: MessageHead;
  readonly body: string | undefined;
  readonly flag: ContinuationFlag;
}

/** The octets of `test/msrp/fixtures/NAME`. */
export function fixture(name: string): Buffer {
  return readFileSync(join(import.meta.dirname, '../fixtures', name));
}

/** Pushes the pieces in order and gives the whole messages found; bodies as Latin-1. */
export function parseAll(pieces: Iterable<Buffer>): ParsedMessage[] {
  const found: ParsedMessage[] = [];
  let head: MessageHead | undefined;
  let body: string | undefined;
  const parser = new MessageParser({
    head(value, hasBody) {
      head = value;
      body = hasBody ? '' : undefined;
    },
    body(piece) {
      body += piece.toString('latin1');
    },
    end(flag) {
      found.push({ head: head!, body, flag });
    },
  });
  for (const piece of pieces) parser.push(piece);
  return found;
}
