/** Media types as `a=accept-types` lists them (RFC 4975 §8.6). */

/** Type and subtype in lower case, without parameters. */
export function bareType(type: string): string {
  return type.split(';', 1)[0]!.trim().toLowerCase();
}

/** Whether a list lets a type through: named, by `type/*`, or by `*`. Parameters do not count. */
export function accepts(list: readonly string[], type: string): boolean {
  const wanted = bareType(type);
  const family = `${wanted.split('/', 1)[0]}/*`;
  return list.some((entry) => {
    const listed = bareType(entry);
    return listed === '*' || listed === wanted || listed === family;
  });
}
