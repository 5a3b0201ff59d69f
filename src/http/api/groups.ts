import type { FastifyInstance } from 'fastify';
import type { NewGroup } from '../../cpm/controlling/directory.js';
import type { Group } from '../../cpm/controlling/group.js';
import { groupError } from '../../cpm/controlling/errors.js';
import type { HttpContext } from '../context.js';
import { next, pageOf, pageQuery, type PageQuery } from './pages.js';

const memberSchema = {
  type: 'object',
  properties: {
    identity: { type: 'string' },
    state: { type: 'string' },
    role: { type: 'string' },
    nickname: { type: 'string' },
    endpoints: { type: 'integer' },
  },
} as const;

const groupSchema = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    uri: { type: 'string' },
    kind: { type: 'string', enum: ['ad-hoc', 'long-lived', 'pre-defined'] },
    access: { type: 'string', enum: ['open', 'closed'] },
    subject: { type: 'string' },
    creator: { type: 'string' },
    maximum: { type: 'integer' },
    minimum: { type: 'integer' },
    contributionId: { type: 'string' },
    createdAt: { type: 'string', format: 'date-time' },
    members: { type: 'array', items: memberSchema },
  },
} as const;

const ofId = {
  type: 'object',
  properties: { id: { type: 'string' } },
  required: ['id'],
} as const;
const ofMember = {
  type: 'object',
  properties: { id: { type: 'string' }, identity: { type: 'string' } },
  required: ['id', 'identity'],
} as const;

/** `/groups`: group sessions, and the groups that the operator keeps. */
export function groupRoutes(api: FastifyInstance, { controlling }: HttpContext): void {
  if (!controlling) return;
  const { groups, directory } = controlling;
  const found = async (id: string): Promise<Group> => {
    const group = await groups.get(id);
    if (!group) throw groupError('group-unknown', id);
    return group;
  };

  api.get<{ Querystring: PageQuery }>(
    '/groups',
    {
      schema: {
        summary: 'Groups in order of their ids, a page at a time',
        querystring: { type: 'object', properties: pageQuery },
        response: {
          200: { type: 'object', properties: { groups: { type: 'array', items: groupSchema }, next } },
        },
      },
    },
    async ({ query: { after, limit } }) => {
      const { items, next } = await pageOf(groups.all(after, limit), limit, ({ id }) => id, show);
      return { groups: items, next };
    },
  );

  api.get<{ Params: { id: string } }>(
    '/groups/:id',
    { schema: { summary: 'One group', params: ofId, response: { 200: groupSchema } } },
    async ({ params: { id } }) => show(await found(id)),
  );

  api.post<{ Body: NewGroup }>(
    '/groups',
    {
      schema: {
        summary:
          'Makes a long-lived or pre-defined group; the first INVITE to a pre-defined one invites all its members',
        body: {
          type: 'object',
          properties: {
            name: { type: 'string', pattern: '^[a-z0-9][a-z0-9-]{0,47}$' },
            kind: { type: 'string', enum: ['long-lived', 'pre-defined'], default: 'pre-defined' },
            access: { type: 'string', enum: ['open', 'closed'], default: 'closed' },
            subject: { type: 'string', maxLength: 255, pattern: '^[^\\x00-\\x1f\\x7f]*$' },
            chairman: { type: 'string' },
            members: { type: 'array', items: { type: 'string' }, maxItems: 10_000, default: [] },
            maximum: { type: 'integer', minimum: 2, maximum: 10_000 },
            minimum: { type: 'integer', minimum: 1, maximum: 1_000 },
          },
          required: ['chairman'],
          additionalProperties: false,
        },
        response: { 201: groupSchema },
      },
    },
    async ({ body }, reply) => reply.code(201).send(show(await directory.make(body))),
  );

  api.delete<{ Params: { id: string } }>(
    '/groups/:id',
    { schema: { summary: 'Closes a group for good and tells its members', params: ofId } },
    async ({ params: { id } }, reply) => {
      await directory.close(id);
      return reply.code(204).send();
    },
  );

  api.post<{ Params: { id: string }; Body: { identity: string } }>(
    '/groups/:id/members',
    {
      schema: {
        summary: 'Makes somebody a member; whoever is not there is invited while the group has sessions',
        params: ofId,
        body: {
          type: 'object',
          properties: { identity: { type: 'string' } },
          required: ['identity'],
          additionalProperties: false,
        },
        response: { 200: groupSchema },
      },
    },
    async ({ params: { id }, body: { identity } }) => show(await directory.add(id, identity)),
  );

  api.delete<{ Params: { id: string; identity: string } }>(
    '/groups/:id/members/:identity',
    { schema: { summary: 'Puts a member out', params: ofMember } },
    async ({ params: { id, identity } }, reply) => {
      await directory.remove(id, identity);
      return reply.code(204).send();
    },
  );
}

const show = ({ members, createdAt, ...group }: Group): object => ({
  ...group,
  createdAt: new Date(createdAt).toISOString(),
  members: members.map(({ identity, state, role, nickname, endpoints }) => ({
    identity,
    state,
    role,
    nickname,
    endpoints: endpoints.length,
  })),
});
