import type { FastifyInstance } from 'fastify';
import { ParleyError } from '../../base/errors.js';
import { parseUserId, type SessionRecord, type UserId } from '../../imps/index.js';
import type { HttpContext } from '../context.js';
import { first, next, pageQuery, type PageQuery } from './pages.js';

const sessionSchema = {
  type: 'object',
  properties: {
    user: { type: 'string', description: 'User-ID' },
    clientId: { type: 'string' },
    applicationId: { type: 'string' },
    version: { type: 'string', description: 'version of CSP' },
    priority: { type: 'integer' },
    keepAliveSeconds: { type: 'integer' },
    startedAt: { type: 'string', format: 'date-time' },
    seenAt: { type: 'string', format: 'date-time' },
  },
} as const;

const connectionsSchema = {
  type: 'object',
  properties: {
    cir: {
      type: 'object',
      description: 'clients with a CIR channel to this node',
      properties: { tcp: { type: 'integer' }, udp: { type: 'integer' } },
    },
    smsc: {
      type: 'object',
      description: 'connection to the short message service centre; absent when none is configured',
      properties: {
        address: { type: 'string', description: 'host:port' },
        bound: { type: 'boolean' },
        since: { type: 'string', format: 'date-time' },
        queued: { type: 'integer', description: 'short messages that wait for their turn' },
        inFlight: { type: 'integer', description: 'short messages that wait for an answer' },
      },
    },
  },
} as const;

export const one = {
  type: 'object',
  properties: { user: { type: 'string' } },
  required: ['user'],
} as const;

/** Reads User-IDs of the server's domain. @returns a function that throws ParleyError `imps-user-invalid` */
export const userReader =
  ({ imps, domain }: HttpContext['config']) =>
  (text: string): UserId => {
    const user = parseUserId(text, imps.domain ?? domain);
    if (user === undefined) throw new ParleyError('imps-user-invalid', text.slice(0, 80));
    return user;
  };

/**
 * `/imps` and `/imps/sessions`: connections, and which phones are logged in. Session-IDs are not shown: who has one is
 * taken for the phone.
 */
export function impsRoutes(api: FastifyInstance, { imps, config }: HttpContext): void {
  if (!imps) return;
  const userOf = userReader(config);

  api.get(
    '/imps',
    {
      schema: {
        summary: 'CIR channels and the SMSC connection of this node',
        response: { 200: connectionsSchema },
      },
    },
    () => {
      const { cir, smsc } = imps.connections();
      return { cir, smsc: smsc && { ...smsc, since: iso(smsc.since) } };
    },
  );

  api.get<{ Querystring: PageQuery & { user?: string } }>(
    '/imps/sessions',
    {
      schema: {
        summary:
          'IMPS sessions, of one user or of all; a page has all of each of its users, so it may be over `limit`',
        querystring: { type: 'object', properties: { user: { type: 'string' }, ...pageQuery } },
        response: {
          200: { type: 'object', properties: { sessions: { type: 'array', items: sessionSchema }, next } },
        },
      },
    },
    async (request) => {
      const { user, after, limit } = request.query;
      if (user !== undefined) {
        const ofUser = await first(imps.sessions(userOf(user)), Infinity);
        return { sessions: ofUser.map(showSession) };
      }
      const sessions: object[] = [];
      for await (const ofUser of imps.sessionsByUser(after === undefined ? undefined : userOf(after))) {
        sessions.push(...ofUser.map(showSession));
        if (sessions.length >= limit) return { sessions, next: ofUser[0]?.user };
      }
      return { sessions };
    },
  );

  api.delete<{ Params: { user: string }; Querystring: { client?: string } }>(
    '/imps/sessions/:user',
    {
      schema: {
        summary: "Ends a user's sessions, or the one of a Client-ID, from the server's side",
        params: one,
        querystring: { type: 'object', properties: { client: { type: 'string' } } },
        response: {
          200: { type: 'object', properties: { sessions: { type: 'array', items: sessionSchema } } },
        },
      },
    },
    async (request) => {
      const { client } = request.query;
      const ended: SessionRecord[] = [];
      for await (const session of imps.sessions(userOf(request.params.user))) {
        if (client !== undefined && clientOf(session) !== client) continue;
        if (await imps.disconnect(session.id)) ended.push(session);
      }
      if (ended.length === 0) throw new ParleyError('imps-session-unknown');
      return { sessions: ended.map(showSession) };
    },
  );
}

const clientOf = ({ client }: SessionRecord): string => client.url ?? client.msisdn ?? '';
/** Milliseconds since the epoch as ISO 8601. */
export const iso = (at: number): string => new Date(at).toISOString();

const showSession = (session: SessionRecord): object => ({
  user: session.user,
  clientId: clientOf(session),
  applicationId: session.applicationId,
  version: session.version,
  priority: session.priority,
  keepAliveSeconds: session.keepAliveSeconds,
  startedAt: iso(session.startedAt),
  seenAt: iso(session.seenAt),
});
