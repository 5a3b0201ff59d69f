import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../tools/free-port.js';

/** Debian's Kannel as push proxy gateway: `bearerbox` bound to an SMSC, and `wapbox` that takes PAP. */
export interface Kannel {
  /** Where PAP is posted to. */
  readonly pushUrl: string;
  stop(): Promise<void>;
}

/** Waits until something listens on a port; half a minute at most. */
async function listens(port: number): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    const socket = connect(port, '127.0.0.1');
    const open = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing listens on port ${port}`);
}

/** @param smscPort port on loopback of the SMSC that Kannel sends its short messages to */
export async function startKannel(smscPort: number): Promise<Kannel> {
  const folder = mkdtempSync(join(tmpdir(), 'parley-kannel-'));
  const [admin, smsbox] = [await freePort(), await freePort()];
  const [wapbox, ppg] = [await freePort(), await freePort()];
  const file = join(folder, 'kannel.conf');
  writeFileSync(
    file,
    `group = core
admin-port = ${admin}
admin-password = lab
smsbox-port = ${smsbox}
wapbox-port = ${wapbox}
box-allow-ip = "127.0.0.1"

group = smsc
smsc = smpp
host = 127.0.0.1
port = ${smscPort}
smsc-username = kannel
smsc-password = lab
system-type = "VMA"
interface-version = 34
transceiver-mode = true

group = smsbox
bearerbox-host = 127.0.0.1

group = sms-service
keyword = default
text = "none"

group = wapbox
bearerbox-host = 127.0.0.1

group = ppg
ppg-url = /wappush
ppg-port = ${ppg}
concurrent-pushes = 10
users = 16
service-name = ppg
trusted-pi = true
`,
  );
  const boxes: ChildProcess[] = [];
  const run = (program: string): void => {
    boxes.push(spawn(`/usr/sbin/${program}`, ['-v', '4', file], { cwd: folder, stdio: 'ignore' }));
  };
  const stop = async (): Promise<void> => {
    for (const box of boxes.reverse()) {
      if (box.exitCode !== null || box.signalCode !== null) continue;
      const gone = once(box, 'exit');
      box.kill('SIGKILL');
      await gone;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    run('bearerbox');
    await listens(wapbox);
    run('wapbox');
    await listens(ppg);
  } catch (error) {
    await stop();
    throw error;
  }
  return { pushUrl: `http://127.0.0.1:${ppg}/wappush`, stop };
}
