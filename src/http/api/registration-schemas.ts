import { next, pageQuery } from './pages.js';

/** What the API shows of a registered device; from another core not everything is known. */
const bindingSchema = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    aor: { type: 'string', description: 'the identity it was registered for' },
    contact: { type: 'string' },
    instance: { type: 'string', description: 'Instance ID, a URN' },
    publicGruu: { type: 'string' },
    regId: { type: 'integer' },
    deviceName: { type: 'string' },
    userAgent: { type: 'string' },
    capabilities: { type: 'object', additionalProperties: { type: ['string', 'boolean'] } },
    q: { type: 'number' },
    path: { type: 'array', items: { type: 'string' } },
    privateId: { type: 'string' },
    registeredAt: { type: 'string', format: 'date-time' },
    expiresAt: { type: 'string', format: 'date-time' },
    expiresInSeconds: { type: 'integer' },
  },
} as const;

export const registrationSchema = {
  type: 'object',
  properties: { aor: { type: 'string' }, bindings: { type: 'array', items: bindingSchema } },
} as const;

export const listSchema = {
  summary: 'Registered identities with their devices, in order of identities',
  querystring: {
    type: 'object',
    properties: pageQuery,
  },
  response: {
    200: {
      type: 'object',
      properties: { registrations: { type: 'array', items: registrationSchema }, next },
    },
  },
} as const;

export const oneSchema = {
  params: { type: 'object', properties: { aor: { type: 'string' } }, required: ['aor'] },
  querystring: {
    type: 'object',
    properties: { instance: { type: 'string', description: 'URN of one device' } },
  },
  response: { 200: registrationSchema },
} as const;
