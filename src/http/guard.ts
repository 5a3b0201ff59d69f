import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { ParleyError } from '../base/errors.js';
import { isLoopback } from '../config/load.js';
import './errors.js';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/**
 * Lets an admin request pass that carries the token. Without a configured token the server listens on loopback only, and
 * then the Host header field must name a loopback address too: a page in a browser cannot make one that does (DNS rebinding).
 * @throws ParleyError `http-unauthorized`, `http-wrong-host`
 */
export function makeGuard(token: string | undefined): (request: FastifyRequest) => void {
  const expected = token === undefined ? undefined : digest(token);
  return (request) => {
    if (expected === undefined) {
      if (!isLoopback(request.host.replace(/:\d+$/, ''))) throw new ParleyError('http-wrong-host');
      return;
    }
    const given = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    if (!timingSafeEqual(digest(given), expected)) throw new ParleyError('http-unauthorized');
  };
}
