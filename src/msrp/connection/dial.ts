import { connect as connectTcp } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { WebSocket } from 'ws';
import type { Clock } from '../../base/clock.js';
import { endpoint } from '../../base/endpoint.js';
import type { ParleyError } from '../../base/errors.js';
import { msrpError } from '../errors.js';
import { KEEP_ALIVE_MS, TcpWire } from './tcp-wire.js';
import type { Wire, WireKind } from './wire.js';
import { WsWire } from './ws-wire.js';

/** The WebSocket subprotocol (RFC 7977). */
export const MSRP_SUBPROTOCOL = 'msrp';

/** Where to connect, and whom to find there. */
export interface DialTarget extends WireKind {
  /** Name or address, without brackets. */
  readonly host: string;
  readonly port: number;
  /** Value of `a=fingerprint`: the peer's certificate must have it, and need not be signed by anybody known. */
  readonly fingerprint?: string | undefined;
}

export interface DialOptions {
  readonly clock: Clock;
  /** Our certificate, and whom we trust. */
  readonly tls?:
    | {
        key?: string | Buffer;
        cert?: string | Buffer;
        ca?: string | Buffer;
        /** False lets us connect to peers whose certificate does not prove their name: for labs. */
        verify?: boolean;
      }
    | undefined;
  /** Milliseconds until an attempt is given up. */
  readonly connectMs: number;
  readonly wsMessageOctets: number;
}

/**
 * Makes a transport connection (RFC 4975 §5.4, §6.2). A name with several addresses is tried address by address.
 * @throws ParleyError `msrp-connect-failed` or `msrp-fingerprint-mismatch`.
 */
export async function dial(target: DialTarget, options: DialOptions): Promise<Wire> {
  const wire = await (target.transport === 'ws' ? dialWs(target, options) : dialTcp(target, options));
  const trouble = fingerprintTrouble(target, wire);
  if (trouble) {
    wire.destroy();
    throw trouble;
  }
  return wire;
}

function fingerprintTrouble({ secure, fingerprint }: DialTarget, wire: Wire): ParleyError | undefined {
  if (!secure || fingerprint === undefined) return undefined;
  return fingerprintMatches(wire, fingerprint) ? undefined : msrpError('msrp-fingerprint-mismatch');
}

/** @param fingerprint value of `a=fingerprint`: algorithm, space, digest (RFC 4975 §14.4). */
export function fingerprintMatches(wire: Wire, fingerprint: string): boolean {
  const [algorithm = '', digest = ''] = fingerprint.trim().split(/\s+/);
  return wire.peerFingerprint(algorithm) === digest.toUpperCase();
}

function tlsOptions(target: DialTarget, options: DialOptions): ConnectionOptions {
  return {
    ...options.tls,
    servername: /^[\d.]+$|:/.test(target.host) ? '' : target.host,
    minVersion: 'TLSv1.2',
    // a fingerprint replaces the authority, as RFC 4975 §14.4 has it
    rejectUnauthorized: target.fingerprint === undefined && options.tls?.verify !== false,
  };
}

function dialTcp(target: DialTarget, options: DialOptions): Promise<Wire> {
  const address = { host: target.host, port: target.port, writableHighWaterMark: 131_072 };
  return new Promise((resolve, reject) => {
    const socket = target.secure
      ? connectTls({ ...tlsOptions(target, options), ...address })
      : connectTcp(address);
    const giveUp = (error?: Error): void => {
      timer.cancel();
      socket.destroy();
      reject(failed(target, error));
    };
    const timer = options.clock.after(options.connectMs, () => giveUp());
    socket.once('error', giveUp);
    socket.once(target.secure ? 'secureConnect' : 'connect', () => {
      timer.cancel();
      socket.off('error', giveUp);
      resolve(new TcpWire(socket));
    });
  });
}

function dialWs(target: DialTarget, options: DialOptions): Promise<Wire> {
  const url = `${target.secure ? 'wss' : 'ws'}://${endpoint(target.host, target.port)}/`;
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, MSRP_SUBPROTOCOL, {
      ...(target.secure ? tlsOptions(target, options) : {}),
      maxPayload: options.wsMessageOctets,
      perMessageDeflate: false,
    });
    const giveUp = (error?: Error): void => {
      timer.cancel();
      socket.off('error', giveUp).on('error', () => undefined);
      socket.terminate();
      reject(failed(target, error));
    };
    const timer = options.clock.after(options.connectMs, () => giveUp());
    socket.once('error', giveUp);
    socket.once('upgrade', (response) => response.socket.setKeepAlive(true, KEEP_ALIVE_MS));
    socket.once('open', () => {
      timer.cancel();
      socket.off('error', giveUp);
      resolve(new WsWire(socket, target.secure, `${target.host}:${target.port}`));
    });
  });
}

function failed(target: DialTarget, error: Error | undefined): ParleyError {
  const why = error?.message ?? 'no answer in time';
  return msrpError('msrp-connect-failed', `${target.host}:${target.port}: ${why}`, { cause: error });
}
