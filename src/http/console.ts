import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';
import { inPackage } from '../base/package.js';

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
    root: inPackage('console'),
    wildcard: false,
    schemaHide: true,
    setHeaders: (response) => {
      response.setHeader('content-security-policy', POLICY);
      response.setHeader('x-content-type-options', 'nosniff');
      response.setHeader('referrer-policy', 'no-referrer');
    },
  });
}
