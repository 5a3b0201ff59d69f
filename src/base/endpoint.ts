/** An IPv6 address as an IPv6 reference (RFC 3261 §25.1 `IPv6reference`), any other host as it is. */
export function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** `127.0.0.1:5060`, `[::1]:5060` */
export function endpoint(host: string, port: number): string {
  return `${bracketed(host)}:${port}`;
}

/** Host, without brackets, and port of `host:port` or `[v6]:port`. */
export function splitEndpoint(text: string): [host: string, port: number] {
  const colon = text.lastIndexOf(':');
  return [text.slice(0, colon).replace(/^\[|\]$/g, ''), Number(text.slice(colon + 1))];
}
