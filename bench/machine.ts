import { spawnSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';

const firstLine = (program: string, ...args: string[]): string => {
  const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  return (
    `${stdout}${stderr}`
      .split('\n')
      .find((line) => line.trim() !== '')
      ?.trim() ?? 'not there'
  );
};

/** What a reader needs to judge the figures, as lines of markdown. */
export function describeMachine(): string {
  const [cpu] = cpus();
  const load = loadavg().map((value) => value.toFixed(2));
  return [
    `* ${new Date().toISOString().slice(0, 10)}; ${cpus().length} cores of ${cpu?.model ?? 'an unknown CPU'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Linux ${release()}`,
    `* Node.js ${process.version}; ${firstLine('kamailio', '-v').replace('version: ', '')}; ${firstLine('sipp', '-v').replace(/\.$/, '')}`,
    `* load average when it began: ${load.join(' ')}`,
  ].join('\n');
}
