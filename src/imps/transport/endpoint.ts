import type { EventEmitter } from 'node:events';
import { impsError } from '../errors.js';

/**
 * Resolves when `begin` has made the server or socket listen.
 * @throws ParleyError `imps-port-taken`, naming the address
 */
export function listening(
  server: EventEmitter,
  [host, port]: readonly [string, number],
  begin: (listens: () => void) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      const taken = error.code === 'EADDRINUSE';
      reject(taken ? impsError('imps-port-taken', `${host}:${port}`, { cause: error }) : error);
    };
    server.once('error', failed);
    begin(() => {
      server.off('error', failed);
      resolve();
    });
  });
}
