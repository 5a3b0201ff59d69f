import type { SrvRecord } from 'node:dns';

/**
 * The order in which servers are tried (RFC 2782): priorities from low to high, and within one each next server
 * drawn with a chance that is its share of the weights still left; weight 0 has next to none.
 * @param random gives numbers from 0 up to but not including 1.
 */
export function orderSrv(records: readonly SrvRecord[], random: () => number): SrvRecord[] {
  const ordered: SrvRecord[] = [];
  const priorities = [...new Set(records.map((record) => record.priority))].sort((a, b) => a - b);
  for (const priority of priorities) {
    const left = records.filter((record) => record.priority === priority).sort((a, b) => a.weight - b.weight);
    while (left.length > 0) ordered.push(...left.splice(draw(left, random), 1));
  }
  return ordered;
}

function draw(left: readonly SrvRecord[], random: () => number): number {
  const total = left.reduce((sum, record) => sum + record.weight, 0);
  const drawn = Math.floor(random() * (total + 1));
  let running = 0;
  return left.findIndex((record) => (running += record.weight) >= drawn);
}
