import { splitEndpoint } from '../base/endpoint.js';
import type { Config } from '../config/schema.js';
import type { ListenAddress } from '../msrp/connection/listener.js';
import { MsrpEndpoint } from '../msrp/session/index.js';
import { readTls } from '../sip/transport/tls-options.js';
import type { Disposers, Parts } from './parts.js';

/**
 * Makes the MSRP endpoint that all roles of the process share. It listens when a role needs it. @param disposers gets what stops it.
 * @throws ParleyError `msrp-port-taken` or `msrp-listen-failed`.
 */
export async function startMsrp(
  config: Config,
  { clock, log, trail }: Parts,
  disposers: Disposers,
): Promise<MsrpEndpoint> {
  const { listen, alsoListen, advertise, matching, sessions, connections, messageBytes, heldBytes } =
    config.msrp;
  const { tls } = config.sip;
  const endpoint = new MsrpEndpoint({
    clock,
    log,
    trail,
    matching,
    ...(tls && { tls: readTls(tls) }),
    limits: {
      sessions,
      connections,
      messageOctets: messageBytes,
      heldOctets: heldBytes,
      bindMs: config.msrp.bind * 1000,
      idleMessageMs: config.msrp.idleMessage * 1000,
    },
  });
  disposers.push(() => endpoint.close());
  const { roles, gateway } = config;
  const needed = roles.some(
    (role) => role === 'participating' || role === 'controlling' || (role === 'imps' && gateway.enabled),
  );
  if (needed || config.msrp.relay.enabled)
    for (const address of [listen, ...alsoListen]) await endpoint.listen(listenAddress(address, advertise));
  return endpoint;
}

function listenAddress(text: string, advertise: string | undefined): ListenAddress {
  const [, protocol = 'tcp', address = ''] = /^(?:(tcp|tls|ws|wss):)?(.*)$/.exec(text)!;
  const [host, port] = splitEndpoint(address);
  return {
    transport: protocol.startsWith('ws') ? 'ws' : 'tcp',
    secure: protocol === 'tls' || protocol === 'wss',
    host,
    port,
    ...(advertise !== undefined && { advertise: { host: advertise, port } }),
  };
}
