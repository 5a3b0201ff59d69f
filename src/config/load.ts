import { readFileSync } from 'node:fs';
import { LineCounter, parseDocument, type Document } from 'yaml';
import { readTls } from '../sip/transport/tls-options.js';
import { ConfigError } from './errors.js';
import { configSchema, type Config } from './schema.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Environment variables, the setting each one overrides, and whether it is a comma-separated list. */
export const variables: Record<string, { path: readonly string[]; list?: boolean }> = {
  PARLEY_SIP_LISTEN: { path: ['sip', 'listen'], list: true },
  PARLEY_SIP_STACK: { path: ['sip', 'stack'] },
  PARLEY_SIP_TRUSTED: { path: ['sip', 'trusted'], list: true },
  PARLEY_TLS_CERT: { path: ['sip', 'tls', 'cert'] },
  PARLEY_TLS_KEY: { path: ['sip', 'tls', 'key'] },
  PARLEY_HTTP_LISTEN: { path: ['http', 'listen'] },
  PARLEY_API_TOKEN: { path: ['http', 'token'] },
  PARLEY_IMPS_LISTEN: { path: ['imps', 'listen'] },
  PARLEY_CIR_LISTEN: { path: ['imps', 'cirListen'] },
  PARLEY_IMPS_PUBLIC_HTTP: { path: ['imps', 'publicHttp'] },
  PARLEY_IMPS_PUBLIC_CIR: { path: ['imps', 'publicCir'] },
  PARLEY_MSRP_LISTEN: { path: ['msrp', 'listen'] },
  PARLEY_MSRP_ADVERTISE: { path: ['msrp', 'advertise'] },
  PARLEY_DOMAIN: { path: ['domain'] },
  PARLEY_AUTH: { path: ['auth'] },
  PARLEY_STORE: { path: ['store'] },
  PARLEY_ROLES: { path: ['roles'], list: true },
  PARLEY_CORE: { path: ['foreignCore', 'uri'] },
  PARLEY_LOG_LEVEL: { path: ['log', 'level'] },
  PARLEY_CONFERENCE_FACTORY: { path: ['conferenceFactory'] },
};

export interface ConfigSource {
  /** Name shown in errors. */
  readonly name: string;
  readonly text: string;
}

/**
 * Reads the configuration file.
 * @throws ConfigError when it cannot be read.
 */
export function readConfigFile(path: string): ConfigSource {
  try {
    return { name: path, text: readFileSync(path, 'utf8') };
  } catch (error) {
    throw new ConfigError([
      { where: path, setting: '', why: error instanceof Error ? error.message : String(error) },
    ]);
  }
}

/**
 * The configuration out of a YAML file and the environment, which wins.
 * @param overrides settings of the command line by path; they win over both.
 * @throws ConfigError with every problem, each with its line or variable.
 */
export function loadConfig(
  source: ConfigSource | undefined,
  env: Environment,
  overrides: Partial<Record<'insecure', boolean>> = {},
): Config {
  const lines = new LineCounter();
  const document = parseDocument(source?.text ?? '{}', {
    lineCounter: lines,
    uniqueKeys: true,
    maxAliasCount: 0,
  } as Parameters<typeof parseDocument>[1]);
  const file = source?.name ?? 'defaults';
  if (document.errors.length > 0) {
    throw new ConfigError(
      document.errors.map((error) => ({
        where: `${file}:${lines.linePos(error.pos[0]).line}`,
        setting: '',
        why: error.message.split('\n')[0]!,
      })),
    );
  }
  const settings = (document.toJS({ maxAliasCount: 0 }) ?? {}) as Record<string, unknown>;
  const fromEnv = new Map<string, string>();
  for (const [name, { path, list }] of Object.entries(variables)) {
    const text = env[name];
    if (text === undefined || text === '') continue;
    setPath(settings, path, list ? text.split(',').map((part) => part.trim()) : text);
    fromEnv.set(path.join('.'), name);
  }
  Object.assign(settings, overrides);
  const parsed = configSchema.safeParse(settings);
  if (!parsed.success) {
    throw new ConfigError(
      parsed.error.issues.map((issue) => {
        const path = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0]!] : issue.path;
        const why = issue.code === 'unrecognized_keys' ? 'no such setting' : issue.message;
        return { where: placeOf(path, fromEnv, document, lines, file), setting: path.join('.'), why };
      }),
    );
  }
  const unsafe = safetyProblems(parsed.data);
  if (unsafe.length > 0) {
    throw new ConfigError(
      unsafe.map(({ path, why }) => ({
        where: placeOf(path, fromEnv, document, lines, file),
        setting: path.join('.'),
        why,
      })),
    );
  }
  return parsed.data;
}

function setPath(settings: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let at = settings;
  for (const name of path.slice(0, -1)) {
    const next = at[name];
    if (typeof next === 'object' && next !== null) at = next as Record<string, unknown>;
    else at = at[name] = {} as Record<string, unknown>;
  }
  at[path.at(-1)!] = value;
}

/** The variable that gave a setting, or the line of the deepest node of its path that the file has. */
function placeOf(
  path: readonly PropertyKey[],
  fromEnv: ReadonlyMap<string, string>,
  document: Document,
  lines: LineCounter,
  file: string,
): string {
  for (let length = path.length; length > 0; length--) {
    const variable = fromEnv.get(path.slice(0, length).join('.'));
    if (variable) return variable;
    const node = document.getIn(path.slice(0, length), true) as
      { range?: [number, number, number] } | undefined;
    if (node?.range) return `${file}:${lines.linePos(node.range[0]).line}`;
  }
  return file;
}

/** What would open the server to strangers, or cannot work. */
function safetyProblems(config: Config): { path: readonly string[]; why: string }[] {
  const problems: { path: readonly string[]; why: string }[] = [];
  if (
    config.auth === 'none' &&
    !config.insecure &&
    !config.sip.listen.every((listener) => isLoopback(hostOf(listener)))
  ) {
    problems.push({ path: ['auth'], why: 'none needs loopback listeners in sip.listen, or --insecure' });
  }
  if (!isLoopback(hostOf(config.http.listen)) && config.http.token === undefined) {
    problems.push({ path: ['http', 'token'], why: 'needed when http.listen is not a loopback address' });
  }
  if (config.sip.listen.some((listener) => /^(?:tls|wss):/.test(listener)) && !config.sip.tls) {
    problems.push({ path: ['sip', 'tls'], why: 'needed for tls and wss listeners' });
  }
  if (
    !config.store.startsWith('lmdb:') &&
    config.sip.stack === 'embedded' &&
    config.sip.listen.some((listener) => /^(?:0\.0\.0\.0|\[::\])$/.test(hostOf(listener)))
  ) {
    problems.push({
      path: ['sip', 'listen'],
      why: 'nodes on Redis listen on addresses that the others reach, not on 0.0.0.0 or [::]',
    });
  }
  const services = config.roles.some((role) => role === 'participating' || role === 'controlling');
  if (services && !config.roles.includes('core') && config.foreignCore.uri === undefined)
    problems.push({ path: ['foreignCore', 'uri'], why: 'needed for CPM services without the role core' });
  const tls = config.sip.tls && tlsProblem(config.sip.tls);
  if (tls !== undefined) problems.push({ path: ['sip', 'tls', 'cert'], why: tls });
  return problems;
}

/** Why the certificate files cannot be used; better said now than by the first handshake. */
function tlsProblem(files: NonNullable<Config['sip']['tls']>): string | undefined {
  try {
    readTls(files);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function hostOf(listener: string): string {
  return listener.replace(/^[a-z]+:(?=.*:\d+$)/, '').replace(/:\d+$/, '');
}

/** True for addresses that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}
