import type { Config } from '../config/schema.js';
import type { Gateway } from '../gateway/gateway.js';
import { createImpsServer, parseUserId, type ImpsServer } from '../imps/index.js';
import type { Disposers, Parts } from './parts.js';

export interface RunningImps {
  readonly server: ImpsServer;
  /** URL of CSP over HTTP. */
  readonly csp: string;
  /** `host:port` of CIR over TCP and UDP. */
  readonly cir: string;
}

/**
 * Starts the IMPS server and makes the users that the configuration's subscribers have on the IMPS side.
 * @param disposers gets what stops it, before anything listens.
 * @throws ParleyError `imps-port-taken`
 */
export async function startImps(
  config: Config,
  { gateway, ...parts }: Parts & { gateway: Gateway | undefined },
  disposers: Disposers,
): Promise<RunningImps> {
  const { domain = config.domain, ...settings } = config.imps;
  const server = createImpsServer({
    ...parts,
    config: { ...settings, domain },
    ...(gateway ? { ports: gateway.ports } : {}),
  });
  gateway?.attach(server);
  disposers.push(() => server.close());
  await provision(server, config, domain, parts);
  const { http, cirHost, cirPort } = await server.start();
  return { server, csp: `${http}/csp`, cir: `${cirHost}:${cirPort}` };
}

async function provision(
  server: ImpsServer,
  config: Config,
  domain: string,
  { clock, log }: Parts,
): Promise<void> {
  let added = 0;
  for (const { imps, password, identities } of config.subscribers) {
    const user = parseUserId(imps, domain);
    if (user === undefined || password === undefined) continue;
    const msisdn = identities.find((identity) => identity.startsWith('tel:+'))?.slice('tel:'.length);
    const created = await server.users.create({
      user,
      password,
      msisdn,
      state: 'active',
      createdAt: clock.now(),
    });
    if (!created) continue;
    log.debug({ user }, 'IMPS user of the configuration was added');
    added++;
  }
  if (added > 0) log.info({ added }, 'IMPS users of the configuration were added');
}
