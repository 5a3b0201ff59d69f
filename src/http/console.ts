import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Nothing but the page's own files: no inline script, nothing from elsewhere, no frame around it. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The console at `/`: a page that shows registrations, decisions and health as the API tells them. */
export async function consoleRoutes(server: FastifyInstance): Promise<void> {
  await server.register(fastifyStatic, {
    root: consoleFolder(),
    wildcard: false,
    schemaHide: true,
    setHeaders: (response) => {
      response.setHeader('content-security-policy', POLICY);
      response.setHeader('x-content-type-options', 'nosniff');
      response.setHeader('referrer-policy', 'no-referrer');
    },
  });
}

/** The folder `console` of this package, wherever it is built or installed. */
function consoleFolder(from: string = import.meta.dirname): string {
  for (let folder = from; folder !== dirname(folder); folder = dirname(folder)) {
    const found = join(folder, 'console');
    if (existsSync(join(found, 'index.html'))) return found;
  }
  throw new Error(`no folder console above ${from}`);
}
