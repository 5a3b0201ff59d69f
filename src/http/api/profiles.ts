import type { FastifyInstance } from 'fastify';
import { ParleyError } from '../../base/errors.js';
import { profileSchema } from '../../config/profiles.js';
import type { ServiceProfile } from '../../core/triggers/criteria.js';
import { importUserProfile } from '../../core/triggers/import-profile.js';
import { parseUserProfile } from '../../core/triggers/user-profile.js';
import type { Subscriber } from '../../registrar/subscribers.js';
import type { HttpContext } from '../context.js';
import { next, pageOf, pageQuery, type PageQuery } from './pages.js';

const criteria = {
  type: 'array',
  description: 'initial filter criteria, as in the configuration',
  items: { type: 'object', additionalProperties: true },
} as const;
const profile = { type: 'object', properties: { name: { type: 'string' }, criteria } } as const;
const named = {
  params: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
} as const;
const ofSubscriber = {
  params: { type: 'object', properties: { privateId: { type: 'string' } }, required: ['privateId'] },
} as const;
const givenSchema = {
  type: 'object',
  properties: {
    identities: {
      type: 'array',
      items: {
        type: 'object',
        properties: { aor: { type: 'string' }, profile: { type: 'string' } },
      },
    },
  },
} as const;

/** `/profiles` and `/subscribers/{privateId}/profile`: whose requests go to which application servers. */
export function profileRoutes(api: FastifyInstance, context: HttpContext): void {
  const { profiles, subscribers } = context;
  api.addContentTypeParser(['application/xml', 'text/xml'], { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  );

  api.get<{ Querystring: PageQuery }>(
    '/profiles',
    {
      schema: {
        summary: 'Service profiles in order of their names',
        querystring: { type: 'object', properties: pageQuery },
        response: {
          200: { type: 'object', properties: { profiles: { type: 'array', items: profile }, next } },
        },
      },
    },
    async ({ query: { after, limit } }) => {
      const found = await profiles.list(after, limit);
      const { items, next } = await pageOf(
        found,
        limit,
        ({ name }) => name,
        (one) => one,
      );
      return { profiles: items, next };
    },
  );

  api.get<{ Params: { name: string } }>(
    '/profiles/:name',
    { schema: { summary: 'One service profile', ...named, response: { 200: profile } } },
    async (request) => {
      const found = await profiles.get(request.params.name);
      if (!found) throw new ParleyError('profile-unknown', request.params.name);
      return found;
    },
  );

  api.put<{ Params: { name: string }; Body: { criteria: unknown } }>(
    '/profiles/:name',
    {
      schema: {
        summary: 'Makes or replaces a service profile; "default" is that of users to whom none was given',
        ...named,
        body: { type: 'object', required: ['criteria'], properties: { criteria } },
        response: { 200: profile },
      },
    },
    async (request) => {
      const wanted = read({ ...request.body, name: request.params.name });
      await profiles.put(wanted);
      return wanted;
    },
  );

  api.delete<{ Params: { name: string } }>(
    '/profiles/:name',
    { schema: { summary: 'Removes a service profile', ...named } },
    async (request, reply) => {
      await profiles.remove(request.params.name);
      return reply.code(204).send();
    },
  );

  api.get<{ Params: { privateId: string } }>(
    '/subscribers/:privateId/profile',
    {
      schema: {
        summary: 'Service profiles of the identities of a subscriber',
        ...ofSubscriber,
        response: { 200: givenSchema },
      },
    },
    async ({ params }) => given(await subscriberOf(params.privateId, context), context),
  );

  api.put<{ Params: { privateId: string }; Body: { profile: string | null } | Buffer }>(
    '/subscribers/:privateId/profile',
    {
      schema: {
        summary:
          'Gives all identities of a subscriber a service profile ({"profile": name}, null for the default one), or what its IMSSubscription document (application/xml, 3GPP TS 29.228 annex E) says of each',
        ...ofSubscriber,
        response: { 200: givenSchema },
      },
    },
    async ({ params, body }) => {
      const subscriber = await subscriberOf(params.privateId, context);
      if (body instanceof Uint8Array) await importUserProfile(parseUserProfile(body), subscriber, context);
      else {
        const { profile: name, ...unknown } = body;
        const [other] = Object.keys(unknown);
        if (other !== undefined)
          throw new ParleyError('http-bad-request', `unknown property ${JSON.stringify(other)}`);
        if (name !== null && typeof name !== 'string') throw new ParleyError('profile-invalid', 'profile');
        if (name !== null && !profiles.has(name)) throw new ParleyError('profile-unknown', name);
        for (const { aor } of subscriber.identities)
          await subscribers.setProfile(subscriber.privateId, aor, name ?? undefined);
      }
      return given(subscriber, context);
    },
  );
}

function read(body: object): ServiceProfile {
  const parsed = profileSchema.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new ParleyError('profile-invalid', `${issue?.path.join('.')}: ${issue?.message}`);
}

async function subscriberOf(privateId: string, { subscribers }: HttpContext): Promise<Subscriber> {
  const subscriber = await subscribers.get(privateId);
  if (!subscriber) throw new ParleyError('subscriber-unknown', privateId);
  return subscriber;
}

async function given({ identities }: Subscriber, { subscribers }: HttpContext): Promise<object> {
  const rows = identities.map(async ({ aor }) => ({
    aor,
    profile: (await subscribers.identity(aor))?.profile,
  }));
  return { identities: await Promise.all(rows) };
}
