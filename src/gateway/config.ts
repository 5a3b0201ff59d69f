import { z } from 'zod';

const domain = z.string().toLowerCase();

/** Configuration of the gateway between IMPS phones and CPM. */
export const gatewayConfig = z.strictObject({
  /** False leaves the IMPS server alone with its own users. */
  enabled: z.boolean().default(true),
  /** Domains that are called otherwise on the other side; a domain that is not here is called the same. */
  domains: z
    .array(
      z.strictObject({
        /** In `wv:` addresses. */
        wv: domain,
        /** In `sip:` addresses. */
        sip: domain,
      }),
    )
    .default([]),
  /** Who is believed about the IMEI of a handset, in this order: the network (`imps.imeiHeaders`), the Client-ID. Empty: UUIDs alone. */
  imeiFrom: z.array(z.enum(['network', 'client'])).default(['network', 'client']),
  /** Seconds that the SendMessage of a phone waits for the answer of the SIP side; then it is accepted, and a failure is told later. */
  patience: z.number().min(0).max(30).default(2),
  /** Messages of phones that wait for the SIP side at once. */
  inFlight: z.int().min(1).max(1_000_000).default(10_000),
  /** Octets of one message over MSRP, to a phone and from it; it must fit a record of the store. */
  messageBytes: z.int().min(1_024).max(4_194_304).default(1_048_576),
  presence: z
    .strictObject({
      /** Seconds between two NOTIFYs of a subscription at least. */
      interval: z.number().min(0).max(3_600).default(5),
      /** Subscriptions to one user. */
      perUser: z.int().min(0).default(500),
      /** Subscriptions altogether. */
      total: z.int().min(0).default(100_000),
    })
    .prefault({}),
  sessions: z
    .strictObject({
      /** Seconds without a message after which the gateway ends a session. */
      idle: z.number().positive().max(86_400).default(900),
      /** Sessions that one phone may have at once. */
      perPhone: z.int().min(0).max(1_000).default(20),
    })
    .prefault({}),
});

export type GatewayConfig = z.infer<typeof gatewayConfig>;
