/** A decoded `a=file-selector` (RFC 5547 §6). */
export interface FileSelector {
  readonly name: string | undefined;
  readonly type: string | undefined;
  /** Octets. */
  readonly size: number | undefined;
  /** Algorithm and digest in hexadecimal with colons, several allowed. */
  readonly hashes: readonly { readonly algorithm: string; readonly digest: string }[];
}

const selector =
  /(name):"([^"\r\n]*)"|(type):(\S+(?:;[^\s;="]+=(?:"[^"]*"|\S+))*)|(size):(\d{1,15})|(hash):([A-Za-z0-9-]+):([0-9A-Fa-f:]+)/g;

/** What is no selector is passed over: more may be defined (RFC 5547 §6). */
export function parseFileSelector(value: string): FileSelector {
  let name: string | undefined;
  let type: string | undefined;
  let size: number | undefined;
  const hashes: { algorithm: string; digest: string }[] = [];
  for (const found of value.matchAll(selector)) {
    if (found[1]) name = unescapeName(found[2]!);
    else if (found[3]) type = found[4]!;
    else if (found[5]) size = Number(found[6]);
    else hashes.push({ algorithm: found[8]!.toLowerCase(), digest: found[9]!.toUpperCase() });
  }
  return { name, type, size, hashes };
}

/** The inverse of {@link parseFileSelector}. */
export function formatFileSelector(file: FileSelector): string {
  const parts: string[] = [];
  if (file.name !== undefined)
    parts.push(`name:"${file.name.replace(/[%"\r\n\0]/g, (c) => encodeURIComponent(c))}"`);
  if (file.type !== undefined) parts.push(`type:${file.type}`);
  if (file.size !== undefined) parts.push(`size:${file.size}`);
  for (const { algorithm, digest } of file.hashes) parts.push(`hash:${algorithm}:${digest}`);
  return parts.join(' ');
}

function unescapeName(name: string): string {
  return name.replace(/%(0[0AD]|22|25)/gi, (escape) => decodeURIComponent(escape));
}
