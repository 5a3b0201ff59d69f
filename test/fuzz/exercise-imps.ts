import assert from 'node:assert/strict';
import { ParleyError } from '../../src/base/errors.js';
import {
  readMessage,
  textCoding,
  wbxmlCoding,
  writeMessage,
  xmlCoding,
  type Coding,
  type ReadMessage,
} from '../../src/imps/codec/coding.js';
import type { CspMessage } from '../../src/imps/codec/envelope.js';
import { routes } from '../../src/imps/dispatcher.js';
import { readUserData, textOf } from '../../src/imps/sms/user-data.js';
import { preparedServer, type PreparedServer } from './prepared-imps.js';

const prepared = await preparedServer();

/**
 * Does with one input what an IMPS server does with what phones send, and holds what must be true of every input:
 * nothing but ParleyError is thrown, what was read is written so that it reads the same again, every request is
 * answered under its Transaction-ID and with no internal error, in a form that its sender can read, and a request that
 * comes again is answered the same.
 * @throws anything when a rule is broken.
 */
export async function exercise(input: Buffer): Promise<void> {
  asShortMessage(input);
  const read = may(() => readMessage(input, codingOf(input).contentType));
  if (!read) return;
  survivesWriting(read.message, read.coding);
  await isAnswered(prepared(), read);
}

/** Runs what may refuse its input, and nothing else. */
function may<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof ParleyError) return undefined;
    throw error;
  }
}

const codingOf = (input: Buffer): Coding =>
  input[0] === 0x57 ? textCoding : input[0]! < 0x09 ? wbxmlCoding : xmlCoding;

function asShortMessage(input: Buffer): void {
  const octets = input.subarray(0, 140);
  for (const dataCoding of [0x00, 0x04, 0x08, 0xf1])
    textOf(readUserData(octets, dataCoding, input.length % 2 === 0));
}

/** Written and read, a message is the same from then on. */
function survivesWriting(message: CspMessage, coding: Coding): void {
  const written = may(() => writeMessage(message, coding));
  if (!written) return;
  const again = may(() => readMessage(written, coding.contentType));
  if (!again) return assert(foreign(message), 'what was written cannot be read');
  const twice = writeMessage(again.message, coding);
  if (!foreign(message)) assert.equal(twice.toString('latin1'), written.toString('latin1'));
}

/** Names that the sender made up: XML cannot write every one, and the plain text syntax folds them. */
const foreign = ({ transactions }: CspMessage): boolean =>
  transactions.some(({ primitive }) => primitive !== undefined && !/^[A-Za-z][\w-]*$/.test(primitive.name));

async function isAnswered(server: PreparedServer, read: ReadMessage): Promise<void> {
  const { message, coding } = read;
  const first = await server.answer(read);
  assert.deepEqual(server.errors, [], 'no internal error');
  const requests = message.transactions.filter(
    ({ mode, primitive }) => mode === 'Request' && primitive?.name !== 'Polling-Request',
  );
  const answered = new Set(first?.transactions.filter(({ mode }) => mode === 'Response').map(({ id }) => id));
  for (const { id } of requests) assert(answered.has(id), 'every request is answered');
  if (first) {
    const octets = may(() => writeMessage(first, coding));
    if (octets) readMessage(octets, coding.contentType);
    else assert(coding.syntax === 'text', 'an answer can be written');
  }
  const [only, ...others] = requests;
  const name = only?.primitive?.name ?? '';
  if (others.length > 0 || message.transactions.length > 1 || only?.id === '') return;
  if (!(name in routes) || name === 'Logout-Request') return;
  const again = await server.answer(read);
  assert.deepEqual(again?.transactions, first?.transactions, 'a repeat is answered the same');
}
