import type { Frame } from './frames.js';

/** A SIP message that a server hands over, with what it knows about it. */
export interface AdminEvent {
  /** `application` for what the server itself sent in our name. */
  readonly source: string;
  /** Octets on the network; 0 for responses that the server made up. */
  readonly octets: number;
  /** `udp`, `tcp`, `tls`; WebSocket shows as `tcp`; empty or `unknown` where the server does not say. */
  readonly protocol: string;
  readonly address: string;
  readonly port: number;
  readonly transaction: string;
  /** Empty outside dialogs, else `<Call-ID>;from-tag=<tag>`. */
  readonly dialog: string;
  /** The listener that received it; only for new requests outside dialogs. */
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
  readonly message: Buffer;
}

/** `sip|<source>|<octets>|<protocol>|<address>|<port>|<time>|<transaction>|<dialog>|[<local address>|<local port>|…]` behind the id. */
export function readEvent({ fields, message }: Frame): AdminEvent | undefined {
  if (fields.length < 10 || !message) return undefined;
  const [, , source, octets, protocol, address, port, , transaction, dialog, localAddress, localPort] =
    fields;
  return {
    source: source!,
    octets: Number(octets) || 0,
    protocol: protocol!,
    address: address!,
    port: Number(port) || 0,
    transaction: transaction!,
    dialog: dialog!,
    localAddress: localAddress === '' ? undefined : localAddress,
    localPort: Number(localPort) || undefined,
    message,
  };
}

/** The answer to one of our commands. */
export interface Reply {
  readonly ok: boolean;
  /** False when the server never had the command, or its answer was lost. */
  readonly heard: boolean;
  /** Why not. */
  readonly reason: string;
  /** The transaction that the command began. */
  readonly transaction: string;
  /** The message as the server sent it. */
  readonly message: Buffer | undefined;
  /** All fields behind `OK` or `NOK`. */
  readonly fields: readonly string[];
}

/** `response|<id of the command>|OK|…`, or NOK or NO with the reason. */
export function readReply({ fields, message }: Frame): { readonly to: string; readonly reply: Reply } {
  const ok = fields[3] === 'OK';
  return {
    to: fields[2] ?? '',
    reply: {
      ok,
      heard: true,
      reason: ok ? '' : (fields[4] ?? 'no reason given'),
      transaction: fields[10] ?? '',
      message,
      fields: fields.slice(4),
    },
  };
}
