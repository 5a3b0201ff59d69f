import { createInterface } from 'node:readline/promises';
import { CommandError } from './api-client.js';

/** A password from PARLEY_SUBSCRIBER_PASSWORD, else the first line of standard input. @throws CommandError when it is empty. */
export async function readSecret(): Promise<string> {
  const given = process.env['PARLEY_SUBSCRIBER_PASSWORD'] ?? (await firstLine());
  if (given === '') throw new CommandError('no password was given');
  return given;
}

/** Keys in hex from the environment, for a subscriber with a USIM; undefined when none is there. @throws CommandError for half of them. */
export function akaKeysOf(env: Readonly<Record<string, string | undefined>>): object | undefined {
  const of = (name: string): string | undefined => env[`PARLEY_SUBSCRIBER_${name}`];
  const [k, op, opc] = [of('K'), of('OP'), of('OPC')];
  if (k === undefined && op === undefined && opc === undefined) return undefined;
  if (k === undefined || (op === undefined) === (opc === undefined))
    throw new CommandError(
      'keys for AKA are PARLEY_SUBSCRIBER_K and one of PARLEY_SUBSCRIBER_OP and PARLEY_SUBSCRIBER_OPC',
    );
  return { k, ...(op === undefined ? { opc } : { op }) };
}

async function firstLine(): Promise<string> {
  if (process.stdin.isTTY) process.stderr.write('Password: ');
  const lines = createInterface({ input: process.stdin });
  for await (const line of lines) {
    lines.close();
    return line;
  }
  return '';
}
