import { readFileSync } from 'node:fs';

/** Clock ticks a second of `/proc/PID/stat`: USER_HZ is 100 on every Linux that Node.js runs on. */
const TICKS = 100;

/** CPU seconds that the processes have used, user and system, all threads (`proc(5)`, utime and stime). */
export function cpuSeconds(processes: readonly number[]): number {
  let ticks = 0;
  for (const pid of processes) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS;
}

export interface Memory {
  /** Bytes that the processes hold in RAM, shared pages counted once (Pss). */
  readonly total: number;
  /** The part of it that is pages of files, which the system can take back (Pss_File): LMDB's map is that. */
  readonly file: number;
}

export function memory(processes: readonly number[]): Memory {
  let [total, file] = [0, 0];
  for (const pid of processes) {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    const kilobytes = (field: string): number =>
      Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1] ?? 0);
    total += kilobytes('Pss') * 1024;
    file += kilobytes('Pss_File') * 1024;
  }
  return { total, file };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
