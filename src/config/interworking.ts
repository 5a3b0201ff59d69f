import { z } from 'zod';

const address = z
  .string()
  .regex(
    /^(?:[a-z][a-z0-9+.-]*:|sip:\*@[a-z0-9.-]+)$/i,
    'must be a scheme such as `mailto:`, or `sip:*@DOMAIN`',
  );

/** Who serves addresses that are not of CPM users. */
export const interworkingConfig = z
  .strictObject({
    /** Header field with the Non-CPM Communication Service Identifier. */
    serviceHeader: z
      .string()
      .regex(/^[A-Za-z0-9-]{1,64}$/, 'must be a header field name')
      .default('Non-CPM-Service'),
    /** Interworking functions behind SIP, asked in this order. */
    functions: z
      .array(
        z.strictObject({
          /** By which the trail and the metrics name it. */
          name: z.string().regex(/^[a-z0-9-]{1,32}$/, 'must be a-z, 0-9 and hyphens'),
          /** The Non-CPM Communication Service Identifier. */
          service: z.string().regex(/^[A-Za-z0-9.:_-]{1,128}$/, 'must be a token'),
          /** Whom it serves: schemes such as `mailto:`, or `sip:*@DOMAIN`. */
          addresses: z.array(address).default([]),
          /** What it can do; a request that it cannot serve goes to the next function. */
          capabilities: z
            .array(z.enum(['message', 'large-message', 'session', 'group', 'file-transfer']))
            .min(1)
            .default(['message']),
          /** Feature tags of devices that this function serves when no device of their user has the service. */
          features: z.array(z.string().startsWith('+')).default([]),
          /** Its SIP URI, used as Route. */
          uri: z.string().regex(/^sips?:[^<>\s]+$/, 'must be a SIP URI'),
        }),
      )
      .default([]),
  })
  .prefault({});
