import type { FastifyInstance } from 'fastify';
import { ParleyError } from '../../base/errors.js';
import type { ImpsServer, SentSystemMessage, SystemMessage, UserId, UserRecord } from '../../imps/index.js';
import type { HttpContext } from '../context.js';
import { iso, one, userReader } from './imps.js';
import { first, limit, next, pageOf, pageQuery, type PageQuery } from './pages.js';

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

interface ChangedUser {
  readonly state?: 'active' | 'barred';
  readonly msisdn?: string;
}

const changedUserSchema = {
  type: 'object',
  additionalProperties: false,
  minProperties: 1,
  properties: {
    state: { type: 'string', enum: ['active', 'barred'] },
    msisdn: newUserSchema.properties.msisdn,
  },
} as const;

const systemMessageSchema = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    text: { type: 'string' },
    options: { type: 'array', items: { type: 'string' } },
    requiresResponse: { type: 'boolean' },
    sentAt: { type: 'string', format: 'date-time' },
    answeredAt: { type: 'string', format: 'date-time', description: 'absent until the user has answered' },
    chosen: { type: 'integer', description: 'number of the option that was chosen, from 1' },
  },
} as const;

const newSystemMessageSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['text'],
  properties: {
    text: { type: 'string', minLength: 1, maxLength: 2000 },
    options: {
      type: 'array',
      maxItems: 20,
      items: { type: 'string', minLength: 1, maxLength: 200 },
      default: [],
    },
    requiresResponse: { type: 'boolean', default: false, description: 'asked again at each login' },
    verificationKey: { type: 'string', minLength: 1, maxLength: 50 },
  },
} as const;

/**
 * `/imps/users`: who may log in, and what the operator tells and asks them. Passwords and verification keys go in and
 * never come out.
 */
export function impsUserRoutes(api: FastifyInstance, { imps, config, clock }: HttpContext): void {
  if (!imps) return;
  const userOf = userReader(config);
  const known = async (text: string): Promise<UserRecord> => {
    const user = userOf(text);
    const record = await imps.users.find(user);
    if (!record) throw new ParleyError('imps-user-unknown', user);
    return record;
  };

  api.get<{ Querystring: PageQuery }>(
    '/imps/users',
    {
      schema: {
        summary: 'IMPS users in order of their addresses',
        querystring: { type: 'object', properties: pageQuery },
        response: {
          200: { type: 'object', properties: { users: { type: 'array', items: userSchema }, next } },
        },
      },
    },
    async (request) => {
      const { after, limit } = request.query;
      const all = imps.users.all(after === undefined ? undefined : userOf(after));
      const { items, next } = await pageOf(all, limit, ({ user }) => user, showUser);
      return { users: items, next };
    },
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
        summary:
          'Removes an IMPS user with its sessions, lists, groups and messages; senders of those that waited are told',
        params: one,
        response: { 200: userSchema },
      },
    },
    async (request) => {
      const { user } = await known(request.params.user);
      const record = await imps.removeUser(user);
      if (!record) throw new ParleyError('imps-user-unknown', user);
      return showUser(record);
    },
  );

  api.patch<{ Params: { user: string }; Body: ChangedUser }>(
    '/imps/users/:user',
    {
      schema: {
        summary: 'Bars an IMPS user, whose sessions end and whose logins are then 403, or lets it in again',
        params: one,
        body: changedUserSchema,
        response: { 200: userSchema },
      },
    },
    async (request) => {
      const { user } = await known(request.params.user);
      const { state, msisdn } = request.body;
      const record = await imps.users.change(user, (current) => ({
        ...current,
        ...(msisdn === undefined ? {} : { msisdn }),
        // who still has to answer the questions of an auto-registration is no barred user to be let in
        ...(state === undefined || (state === 'active' && current.state !== 'barred') ? {} : { state }),
      }));
      if (!record) throw new ParleyError('imps-user-unknown', user);
      if (record.state === 'barred') await endAll(imps, user);
      return showUser(record);
    },
  );

  api.get<{ Params: { user: string }; Querystring: { limit: number } }>(
    '/imps/users/:user/system-messages',
    {
      schema: {
        summary: 'System messages of a user that wait for an answer or were answered in the last 30 days',
        params: one,
        querystring: { type: 'object', properties: { limit } },
        response: {
          200: {
            type: 'object',
            properties: { systemMessages: { type: 'array', items: systemMessageSchema } },
          },
        },
      },
    },
    async (request) => {
      const { user } = await known(request.params.user);
      const found = await first(imps.systemMessages(user), request.query.limit);
      return { systemMessages: found.map(showSystemMessage) };
    },
  );

  api.post<{ Params: { user: string }; Body: SystemMessage }>(
    '/imps/users/:user/system-messages',
    {
      schema: {
        summary: 'Tells or asks a user something; phones of CSP 1.3 show it, at once or at the next login',
        params: one,
        body: newSystemMessageSchema,
        response: { 201: { type: 'object', properties: { id: { type: 'string' } } } },
      },
    },
    async (request, reply) => {
      const { user } = await known(request.params.user);
      return reply.code(201).send({ id: await imps.sendSystemMessage(user, request.body) });
    },
  );
}

async function endAll(imps: ImpsServer, user: UserId): Promise<void> {
  for await (const session of imps.sessions(user)) await imps.disconnect(session.id);
}

const showUser = ({ user, msisdn, state, createdAt }: UserRecord): object => ({
  user,
  msisdn,
  state,
  createdAt: iso(createdAt),
});

const showSystemMessage = (message: SentSystemMessage & { readonly id: string }): object => ({
  id: message.id,
  text: message.text,
  options: message.options,
  requiresResponse: message.requiresResponse,
  sentAt: iso(message.sentAt),
  answeredAt: message.answeredAt === undefined ? undefined : iso(message.answeredAt),
  chosen: message.chosen,
});
