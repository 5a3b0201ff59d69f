import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Kamailio's modules for registration events. */
export const KAMAILIO_REG_EVENTS = '/usr/lib/x86_64-linux-gnu/kamailio/modules/pua_reginfo.so';

/** Programs, or files, that tests use and npm does not bring, by the Debian package that holds each. */
const tools: Record<string, string> = {
  [KAMAILIO_REG_EVENTS]: 'kamailio-presence-modules',
  baresip: 'baresip-core',
  bearerbox: 'kannel',
  chromium: 'chromium',
  curl: 'curl',
  kamailio: 'kamailio',
  'osmo-auc-gen': 'libosmocore-utils',
  prlimit: 'util-linux',
  'redis-server': 'redis-server',
  sipp: 'sip-tester',
  tshark: 'tshark',
  wbxml2xml: 'libwbxml2-utils',
};

const has = (program: string): boolean =>
  program.startsWith('/')
    ? existsSync(program)
    : spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;

/** Why a test that needs `program` cannot run here, or undefined when it can. With CI=true nothing may be missing. */
export function missing(program: string): string | undefined {
  if (has(program)) return undefined;
  const reason = `${program} is not installed: apt-get install ${tools[program] ?? program}`;
  if (process.env.CI === 'true') throw new Error(reason);
  return reason;
}

/** Installs what is missing when this is Debian and we are root; vitest runs it once before all tests. */
export default function install(): void {
  const wanted = Object.entries(tools).flatMap(([program, name]) => (has(program) ? [] : [name]));
  if (wanted.length === 0 || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  execFileSync('apt-get', ['update', '-q'], { env, stdio: 'inherit' });
  execFileSync('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...new Set(wanted)], {
    env,
    stdio: 'inherit',
  });
}
