/** How many records a scan gives; its limit bounds the work. */
export async function countOf(records: AsyncIterable<unknown>): Promise<number> {
  const iterator = records[Symbol.asyncIterator]();
  let count = 0;
  while (!(await iterator.next()).done) count++;
  return count;
}
