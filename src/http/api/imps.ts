import type { FastifyInstance } from 'fastify';
import { ParleyError } from '../../base/errors.js';
import {
  parseUserId,
  type ImpsServer,
  type SessionRecord,
  type UserId,
  type UserRecord,
} from '../../imps/index.js';
import type { HttpContext } from '../context.js';

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

const userSchema = {
  type: 'object',
  properties: {
    user: { type: 'string', description: 'User-ID' },
    msisdn: { type: 'string' },
    state: { type: 'string', enum: ['active', 'confirming', 'barred'] },
    createdAt: { type: 'string', format: 'date-time' },
  },
} as const;

const newUserSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['user', 'password'],
  properties: {
    user: { type: 'string', description: 'User-ID, wv:USER@DOMAIN' },
    password: { type: 'string', minLength: 1 },
    msisdn: { type: 'string', pattern: '^\\+\\d{3,15}$' },
  },
} as const;

interface NewUser {
  readonly user: string;
  readonly password: string;
  readonly msisdn?: string;
}

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

const page = {
  type: 'object',
  properties: { limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100 } },
} as const;
const one = {
  type: 'object',
  properties: { user: { type: 'string' } },
  required: ['user'],
} as const;

/**
 * `/imps`, `/imps/sessions` and `/imps/users`: connections, which phones are logged in, and who may. Session-IDs are not shown: who has one is
 * taken for the phone. Passwords go in and never come out.
 */
export function impsRoutes(api: FastifyInstance, { imps, config, clock }: HttpContext): void {
  if (!imps) return;
  const userOf = (text: string): UserId => {
    const user = parseUserId(text, config.imps.domain ?? config.domain);
    if (user === undefined) throw new ParleyError('imps-user-invalid', text.slice(0, 80));
    return user;
  };

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

  api.get<{ Querystring: { user?: string; limit: number } }>(
    '/imps/sessions',
    {
      schema: {
        summary: 'IMPS sessions, of one user or of all',
        querystring: { type: 'object', properties: { user: { type: 'string' }, ...page.properties } },
        response: {
          200: { type: 'object', properties: { sessions: { type: 'array', items: sessionSchema } } },
        },
      },
    },
    async (request) => {
      const { user, limit } = request.query;
      const found = imps.sessions(user === undefined ? undefined : userOf(user));
      return { sessions: (await first(found, limit)).map(showSession) };
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

  api.get<{ Querystring: { limit: number } }>(
    '/imps/users',
    {
      schema: {
        summary: 'IMPS users in order of their addresses',
        querystring: page,
        response: { 200: { type: 'object', properties: { users: { type: 'array', items: userSchema } } } },
      },
    },
    async (request) => ({
      users: (await first(imps.users.all(), request.query.limit)).map(showUser),
    }),
  );

  api.post<{ Body: NewUser }>(
    '/imps/users',
    { schema: { summary: 'Adds an IMPS user', body: newUserSchema, response: { 201: userSchema } } },
    async (request, reply) => {
      const { password, msisdn } = request.body;
      const record: UserRecord = {
        user: userOf(request.body.user),
        password,
        msisdn,
        state: 'active',
        createdAt: clock.now(),
      };
      if (!(await imps.users.create(record))) throw new ParleyError('imps-user-exists', record.user);
      return reply.code(201).send(showUser(record));
    },
  );

  api.delete<{ Params: { user: string } }>(
    '/imps/users/:user',
    {
      schema: {
        summary: 'Removes an IMPS user and ends its sessions',
        params: one,
        response: { 200: userSchema },
      },
    },
    async (request) => {
      const user = userOf(request.params.user);
      const record = await imps.users.find(user);
      if (!record) throw new ParleyError('imps-user-unknown', user);
      await imps.users.remove(user);
      await endAll(imps, user);
      return showUser(record);
    },
  );
}

async function endAll(imps: ImpsServer, user: UserId): Promise<void> {
  for await (const session of imps.sessions(user)) await imps.disconnect(session.id);
}

async function first<T>(of: AsyncIterable<T>, limit: number): Promise<T[]> {
  const found: T[] = [];
  for await (const item of of) {
    if (found.push(item) === limit) break;
  }
  return found;
}

const clientOf = ({ client }: SessionRecord): string => client.url ?? client.msisdn ?? '';
const iso = (at: number): string => new Date(at).toISOString();

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

const showUser = ({ user, msisdn, state, createdAt }: UserRecord): object => ({
  user,
  msisdn,
  state,
  createdAt: iso(createdAt),
});
