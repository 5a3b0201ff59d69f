/** Certificates of the TLS and WSS listeners, and how peers' certificates are judged. PEM throughout. */
export interface TlsOptions {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
  /** Authorities that peers' certificates may come from; the system's when absent. */
  readonly ca?: string | Buffer;
  /** False lets us connect to servers whose certificate does not prove their name: for labs. */
  readonly verify?: boolean;
}
