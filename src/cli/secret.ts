import { createInterface } from 'node:readline/promises';
import { CommandError } from './api-client.js';

/** A password from PARLEY_SUBSCRIBER_PASSWORD, else the first line of standard input. @throws CommandError when it is empty. */
export async function readSecret(): Promise<string> {
  const given = process.env['PARLEY_SUBSCRIBER_PASSWORD'] ?? (await firstLine());
  if (given === '') throw new CommandError('no password was given');
  return given;
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
