/** Query of a list that is given page by page. */
export interface PageQuery {
  readonly after?: string;
  readonly limit: number;
}

/** How many items of a list are given. */
export const limit = { type: 'integer', minimum: 1, maximum: 1000, default: 100 } as const;

/** Properties of {@link PageQuery}. */
export const pageQuery = {
  after: { type: 'string', description: '`next` of the page before' },
  limit,
} as const;

/** What a page tells of the one after it. */
export const next = {
  type: 'string',
  description: 'absent on the last page; what comes after it is asked for with `after`',
} as const;

/** A page of a list whose items come in the order of their keys. */
export interface Page {
  readonly items: object[];
  readonly next?: string;
}

type Items<T> = AsyncIterable<T> | Iterable<T>;

/** @param of begins after the page before. @param keyOf what tells where the next page begins. */
export async function pageOf<T>(
  of: Items<T>,
  limit: number,
  keyOf: (item: T) => string,
  show: (item: T) => object,
): Promise<Page> {
  const found = await first(of, limit);
  const items = found.map(show);
  return found.length < limit ? { items } : { items, next: keyOf(found.at(-1)!) };
}

/** The first items, at most `limit`. */
export async function first<T>(of: Items<T>, limit: number): Promise<T[]> {
  const found: T[] = [];
  for await (const item of of) {
    if (found.push(item) === limit) break;
  }
  return found;
}
