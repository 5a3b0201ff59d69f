import type { Connection } from '../connection/connection.js';
import type { MessageHead } from '../message/index.js';
import type { MsrpUri } from '../uri.js';
import type { RelayLimits } from './limits.js';

/** An AUTH request as the one who knows the users sees it. */
export interface AuthRequest {
  /** Value of Authorization. */
  readonly authorization: string | undefined;
  /** The rightmost URI of To-Path, which the digest covers (RFC 4976 §9.1). */
  readonly uri: string;
  /** Address of the previous hop, without port. */
  readonly source: string;
}

export type AuthVerdict =
  | {
      readonly kind: 'accepted';
      readonly user: string;
      /** Value of Authentication-Info; undefined for a relay, which its certificate proves. */
      readonly info: string | undefined;
    }
  | {
      readonly kind: 'challenge';
      /** Values of WWW-Authenticate. */
      readonly challenges: readonly string[];
      /** Whether credentials were given that are wrong. */
      readonly wrong: boolean;
    }
  | { readonly kind: 'refused'; readonly status: 400 | 403; readonly why: string };

/** Who may use the relay. */
export interface RelayAuthority {
  judge(request: AuthRequest): Promise<AuthVerdict>;
}

/** The answer to an AUTH request: a status with header lines, each with CRLF. */
export interface AuthAnswer {
  readonly status: number;
  readonly fields: string;
}

/**
 * The validity that an AUTH request gets.
 * @returns seconds, or the answer that refuses what it asks for (RFC 4976 §6.3).
 */
export function expiresFor(head: MessageHead, limits: RelayLimits): number | AuthAnswer {
  const asked = head.other('Expires');
  if (asked === undefined) return limits.expires;
  if (!/^\d{1,10}$/.test(asked)) return { status: 400, fields: '' };
  const seconds = Number(asked);
  if (seconds < limits.minExpires) return { status: 423, fields: `Min-Expires: ${limits.minExpires}\r\n` };
  if (seconds > limits.maxExpires) return { status: 423, fields: `Max-Expires: ${limits.maxExpires}\r\n` };
  return seconds;
}

/** The answer that gives a URI: the path to the client's first relay comes first (RFC 4976 §5.1). */
export function grant(
  head: MessageHead,
  uri: MsrpUri,
  expires: number,
  info: string | undefined,
): AuthAnswer {
  const relays = head.fromPath.split(/ +/).slice(0, -1).reverse();
  const usePath = [...relays, uri.text].join(' ');
  return {
    status: 200,
    fields:
      `Use-Path: ${usePath}\r\nExpires: ${expires}\r\n` +
      (info === undefined ? '' : `Authentication-Info: ${info}\r\n`),
  };
}

export function challenge(challenges: readonly string[]): AuthAnswer {
  return { status: 401, fields: challenges.map((value) => `WWW-Authenticate: ${value}\r\n`).join('') };
}

/** The address of a connection's other end without its port. */
export function addressOf({ wire }: Connection): string {
  return wire.remote.slice(0, wire.remote.lastIndexOf(':'));
}
