import { z } from 'zod';

const domain = z.string().toLowerCase();

/** Configuration of the gateway between IMPS phones and CPM. */
export const gatewayConfig = z.strictObject({
  /** False leaves the IMPS server alone with its own users. */
  enabled: z.boolean().default(true),
  /** Domains that are called otherwise on the other side; a domain that is not here is called the same. */
  domains: z.array(z.strictObject({ wv: domain, sip: domain })).default([]),
});

export type GatewayConfig = z.infer<typeof gatewayConfig>;
