import { afterThisTest } from '../sip/embedded/nodes.js';
import { Program } from './program.js';

/** T1 of the server and of its devices, in milliseconds: a slow machine is no lost request. */
export const T1 = 2_000;

/** A server of messages in a process of its own, which can be killed. */
export interface MessageServer {
  readonly program: Program;
  readonly port: number;
  readonly api: string;
}

/** @param store what outlives the process. @param cpm settings of the participating function. */
export async function serveMessages(
  store: string,
  port: number,
  cpm: Record<string, unknown> = {},
): Promise<MessageServer> {
  const program = new Program(['serve'], {
    env: {
      PARLEY_AUTH: 'none',
      PARLEY_STORE: store,
      PARLEY_ROLES: 'core,participating',
      PARLEY_SIP_LISTEN: `udp:127.0.0.1:${port}`,
    },
    config: JSON.stringify({ cpm, sip: { overloadDelay: 60_000, timers: { t1: T1, t2: 2 * T1 } } }),
  });
  afterThisTest(() => program.dispose());
  const { api } = await program.ready();
  return { program, port, api };
}

/** SIGKILL, and the end of the process. */
export async function kill({ program }: MessageServer): Promise<void> {
  program.child.kill('SIGKILL');
  await program.exit();
}

/** How many messages wait, as the API tells. */
export async function waiting({ api }: MessageServer): Promise<number> {
  const answer = await (await fetch(`${api}/api/v1/messages?limit=1000`)).json();
  return (answer as { messages: unknown[] }).messages.length;
}
