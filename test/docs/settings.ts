import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import ts from 'typescript';
import { z } from 'zod';

/** A setting of the configuration file, as its schema has it. */
export interface Setting {
  /** `sip.tls.cert`, `subscribers[].identities`. */
  readonly path: string;
  /** What it takes: `yes or no`, `1 to 1000`, `MD5, SHA-256`. */
  readonly takes: string;
  /** JSON of what it is unless set; empty when it is absent then. */
  readonly preset: string;
}

interface JsonSchema {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly default?: unknown;
}

/** Every setting of a schema, in its order; a list of objects is told by the settings of one of them. */
export function settingsOf(schema: z.ZodType): Setting[] {
  return flatten(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema, '');
}

function flatten(schema: JsonSchema, path: string): Setting[] {
  if (schema.properties)
    return Object.entries(schema.properties).flatMap(([name, inner]) =>
      flatten(inner, path === '' ? name : `${path}.${name}`),
    );
  if (schema.items?.properties) return flatten(schema.items, `${path}[]`);
  return [{ path, takes: takes(schema), preset: preset(schema.default) }];
}

function takes(schema: JsonSchema): string {
  const { type, minimum, maximum, items } = schema;
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map(String).join(', ');
  if (schema.anyOf) return [...new Set(schema.anyOf.map(takes))].join(', ');
  if (type === 'array') return items ? `list of ${takes(items)}` : 'list';
  if (type === 'boolean') return 'true, false';
  if (type === 'object') return 'map';
  if (type !== 'number' && type !== 'integer') return 'text';
  const most = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  const above = schema.exclusiveMinimum;
  if (above !== undefined && type === 'number')
    return most === undefined ? `above ${above}` : `above ${above}, to ${most}`;
  const least = above === undefined ? minimum : above + 1;
  if (most === undefined) return least === undefined ? 'number' : `from ${least}`;
  return `${least ?? ''} to ${most}`.trim();
}

const preset = (value: unknown): string =>
  value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)
    ? ''
    : JSON.stringify(value);

/**
 * What the comments in the source of a schema say of its settings, by path; also of those that hold others.
 * @param file the source that declares `name`.
 */
export function commentsOf(file: string, name: string): Map<string, string> {
  const found = new Map<string, string>();
  const source = parse(file);
  walk({ node: declared(source, name)!, source }, '', found);
  return found;
}

interface Place {
  readonly node: ts.Node;
  readonly source: ts.SourceFile;
}

function walk({ node, source }: Place, path: string, found: Map<string, string>): void {
  if (ts.isIdentifier(node)) {
    const target = resolveName(source, node.text);
    if (target) walk(target, path, found);
  } else if (ts.isPropertyAccessExpression(node)) walkMember(node, source, path, found);
  else if (ts.isObjectLiteralExpression(node)) walkObject(node, source, path, found);
  else if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
    const method = node.expression.name.text;
    const [first] = node.arguments;
    if (first && method === 'strictObject') walk({ node: first, source }, path, found);
    else if (first && method === 'array') walk({ node: first, source }, `${path}[]`, found);
    else walk({ node: node.expression.expression, source }, path, found);
  }
}

/** `impsConfig.shape` is all of a schema, `shape.services` one setting of an object that holds them. */
function walkMember(
  { expression, name }: ts.PropertyAccessExpression,
  source: ts.SourceFile,
  path: string,
  found: Map<string, string>,
): void {
  if (name.text === 'shape') return walk({ node: expression, source }, path, found);
  const members = new Map<string, string>();
  walk({ node: expression, source }, '', members);
  const comment = members.get(name.text);
  if (comment !== undefined && !found.has(path)) found.set(path, comment);
}

function walkObject(
  object: ts.ObjectLiteralExpression,
  source: ts.SourceFile,
  path: string,
  found: Map<string, string>,
): void {
  for (const property of object.properties) {
    if (ts.isSpreadAssignment(property)) walk({ node: property.expression, source }, path, found);
    else if (property.name && ts.isIdentifier(property.name)) {
      const inner = path === '' ? property.name.text : `${path}.${property.name.text}`;
      const comment = commentOf(property, source);
      if (comment !== undefined) found.set(inner, comment);
      const value = ts.isPropertyAssignment(property) ? property.initializer : property.name;
      walk({ node: value, source }, inner, found);
    }
  }
}

function commentOf(node: ts.Node, source: ts.SourceFile): string | undefined {
  const ranges = ts.getLeadingCommentRanges(source.text, node.getFullStart()) ?? [];
  const last = ranges
    .map(({ pos, end }) => source.text.slice(pos, end))
    .findLast((text) => text.startsWith('/**'));
  return last
    ?.slice(3, -2)
    .replace(/\n\s*\* ?/g, ' ')
    .trim();
}

function parse(file: string): ts.SourceFile {
  return ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
}

/** The value of a constant of a file. */
function declared(source: ts.SourceFile, name: string): ts.Expression | undefined {
  for (const statement of source.statements)
    if (ts.isVariableStatement(statement))
      for (const { name: found, initializer } of statement.declarationList.declarations)
        if (found.getText(source) === name) return initializer;
  return undefined;
}

/** A constant of the file, or of the one that it is imported from. */
function resolveName(source: ts.SourceFile, name: string): Place | undefined {
  const own = declared(source, name);
  if (own) return { node: own, source };
  for (const statement of source.statements) {
    if (!ts.isImportDeclaration(statement) || !ts.isStringLiteral(statement.moduleSpecifier)) continue;
    const names = statement.importClause?.namedBindings;
    if (!names || !ts.isNamedImports(names) || !names.elements.some((element) => element.name.text === name))
      continue;
    const { text } = statement.moduleSpecifier;
    if (!text.startsWith('.')) return undefined;
    const imported = parse(resolve(dirname(source.fileName), text.replace(/\.js$/, '.ts')));
    const node = declared(imported, name);
    return node && { node, source: imported };
  }
  return undefined;
}
