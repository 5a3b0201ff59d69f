import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';

/** Certificates of the TLS and WSS listeners, and how peers' certificates are judged. PEM throughout. */
export interface TlsOptions {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
  /** Authorities that peers' certificates may come from; the system's when absent. */
  readonly ca?: string | Buffer;
  /** False lets us connect to servers whose certificate does not prove their name: for labs. */
  readonly verify?: boolean;
}

/** The same with paths in place of PEM. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string | undefined;
  readonly verify?: boolean;
}

/** Reads certificates. @throws Error when a file cannot be read or used, or the key is not that of the certificate. */
export function readTls({ cert, key, ca, verify }: TlsFiles): TlsOptions {
  const pem = {
    cert: readFileSync(cert),
    key: readFileSync(key),
    ...(ca === undefined ? {} : { ca: readFileSync(ca) }),
  };
  createSecureContext(pem);
  return { ...pem, ...(verify === undefined ? {} : { verify }) };
}
