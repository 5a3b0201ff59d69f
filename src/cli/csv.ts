import { CommandError } from './api-client.js';

/** A row by the names of its columns. */
export type Row = Record<string, string>;

/**
 * Reads a table with a heading (RFC 4180): fields may be in quotes, lines end with LF or CRLF, a mark of byte order is left out.
 * @throws CommandError for a quote that does not close, or a line that is longer than the heading
 */
export function parseCsv(text: string): Row[] {
  const lines = recordsOf(text.replace(/^\uFEFF/, ''));
  const heading = lines.shift()?.map((name) => name.trim());
  if (!heading) return [];
  return lines.map((fields, index) => {
    if (fields.length > heading.length)
      throw new CommandError(
        `line ${index + 2} has ${fields.length} fields, and the heading ${heading.length}`,
      );
    return Object.fromEntries(fields.map((field, column) => [heading[column]!, field]));
  });
}

/** Writes a table; what stands in several columns of other rows may be absent in one. */
export function formatCsv(
  heading: readonly string[],
  rows: readonly Readonly<Record<string, unknown>>[],
): string {
  const lines = [heading, ...rows.map((row) => heading.map((name) => textOf(row[name])))];
  return lines.map((fields) => fields.map(quoted).join(',')).join('\n');
}

/** Fields of each line that holds anything. */
function recordsOf(text: string): string[][] {
  const records: string[][] = [];
  let fields: string[] = [];
  // a field, in quotes or not, and what ends it
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y;
  while (field.lastIndex < text.length) {
    const found = field.exec(text);
    if (!found)
      throw new CommandError(`line ${records.length + 1}: a quote is not closed, or stands inside a field`);
    fields.push(found[1]?.replaceAll('""', '"') ?? found[2]!);
    if (found[3] === ',' && field.lastIndex < text.length) continue;
    if (found[3] === ',') fields.push('');
    if (fields.length > 1 || fields[0] !== '') records.push(fields);
    fields = [];
  }
  return records;
}

const textOf = (value: unknown): string =>
  typeof value === 'string' ? value : value === undefined || value === null ? '' : JSON.stringify(value);

const quoted = (field: string): string =>
  /[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
