import { z } from 'zod';
import { isServer } from '../core/triggers/criteria.js';

const text = z.string().min(1).max(512);

const trigger = z
  .strictObject({
    negated: z.boolean().optional(),
    method: text.optional(),
    registrationTypes: z.array(z.enum(['initial', 're-registration', 'de-registration'])).optional(),
    requestUri: text.optional(),
    header: z.strictObject({ name: text, content: text.optional() }).optional(),
    sessionCase: z
      .enum([
        'originating',
        'terminating-registered',
        'terminating-unregistered',
        'originating-unregistered',
        'originating-cdiv',
      ])
      .optional(),
    sdp: z.strictObject({ line: text, content: text.optional() }).optional(),
  })
  .describe('a service point trigger: one condition (3GPP TS 29.228 §B.2.2)');

/** Initial filter criteria, as the configuration and the admin API take them (3GPP TS 29.228 §B.2). */
export const criterionSchema = z.strictObject({
  /** Lower is earlier. */
  priority: z.int().min(0).max(999_999_999),
  /** `sip:` URI of an application server on ISC, or the name of a service of this process. */
  server: text.refine(
    (server) => isServer(server) || /^[a-z][a-z0-9-]*$/.test(server),
    'must be a sip: URI or the name of a service',
  ),
  /** When the server fails the request goes on without it, or ends. */
  defaultHandling: z.enum(['continued', 'terminated']).default('continued'),
  trigger: z
    .strictObject({
      /** Whether all groups must hold, in each of which one condition does (`cnf`), or one group with all its conditions (`dnf`). */
      form: z.enum(['cnf', 'dnf']).default('dnf'),
      /** Groups of conditions on a request: see [application servers](service-triggers.md). */
      groups: z.array(z.array(trigger).min(1)).min(1),
    })
    .optional(),
  /** Holds only while the user is registered, or is not; always when absent. */
  profilePart: z.enum(['registered', 'unregistered']).optional(),
  /** Text that the server gets in the body of third-party REGISTERs. */
  serviceInfo: z.string().max(65_536).optional(),
  /** Whether third-party REGISTERs carry that of the device. */
  includeRegisterRequest: z.boolean().optional(),
  /** Whether they carry the response to it. */
  includeRegisterResponse: z.boolean().optional(),
});

export const profileName = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be letters, digits, dot, dash, underscore');

export const profileSchema = z.strictObject({
  /** By which subscribers name it. */
  name: profileName,
  criteria: z.array(criterionSchema).max(64),
});
