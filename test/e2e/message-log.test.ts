import { describe, expect, it } from 'vitest';
import { DigestClient } from '../../src/sip/auth/digest-client.js';
import { useCleanups } from '../tools/cleanups.js';
import { Phone } from '../tools/phone.js';
import { Program, type LogLine } from '../tools/program.js';

const cleanups = useCleanups();
const config = JSON.stringify({
  subscribers: ['alice', 'bob'].map((name) => ({
    privateId: `${name}@ims.test`,
    password: `${name}-secret`,
    identities: [`sip:${name}@ims.test`],
  })),
});

async function started(level: string) {
  const program = new Program(['serve'], { config, env: { PARLEY_LOG_LEVEL: level } });
  cleanups.push(() => program.dispose());
  const { port } = await program.ready();
  /** A device that registers with digest. @returns it, with the nonce that it was given. */
  const registered = async (user: string): Promise<{ phone: Phone; nonce: string }> => {
    const phone = await Phone.open(user, port);
    cleanups.push(() => phone.close());
    const To = `<${phone.aor}>`;
    const challenge = (await phone.ask('REGISTER', 'sip:ims.test', { To })).headers.lines('WWW-Authenticate');
    const client = new DigestClient({ username: `${user}@ims.test`, password: `${user}-secret` });
    client.challenged(challenge);
    const Authorization = client.sign({ method: 'REGISTER', uri: 'sip:ims.test', body: new Uint8Array() });
    expect((await phone.ask('REGISTER', 'sip:ims.test', { To, Authorization })).status).toBe(200);
    return { phone, nonce: /nonce="([^"]+)"/.exec(challenge[0]!)![1]! };
  };
  return { program, registered };
}

const startLine = ({ msg = '', message }: LogLine): string =>
  `${msg.split(' ').at(-1)!} ${String(message).split('\r\n')[0]!}`;

describe('the log at level trace', () => {
  it('has every SIP message as it came and went, without what proves who somebody is', async () => {
    const { program, registered } = await started('trace');
    const { phone, nonce } = await registered('alice');
    await program.logged(({ message }) => String(message).startsWith('SIP/2.0 200'));
    const lines = program.log.filter(({ message }) => message !== undefined);
    expect(lines.map(startLine)).toEqual([
      'received REGISTER sip:ims.test SIP/2.0',
      'sent SIP/2.0 401 Unauthorized',
      'received REGISTER sip:ims.test SIP/2.0',
      'sent SIP/2.0 200 OK',
    ]);
    for (const line of lines)
      expect(line).toMatchObject({ level: 10, peer: `udp 127.0.0.1:${phone.peer.port}` });
    expect(lines[1]!['message']).toContain('WWW-Authenticate: (hidden)\r\n');
    expect(lines[2]!['message']).toContain('Authorization: (hidden)\r\n');
    expect(lines[3]!['message']).toContain(`Contact: <${phone.contact}>`);
    expect(program.stdout).not.toContain(nonce);
    expect(program.stdout).not.toMatch(/response=|-secret/);
  });

  it('has bodies of sessions without keys, and none of what people write', async () => {
    const { program, registered } = await started('trace');
    const { phone: alice } = await registered('alice');
    const { phone: bob } = await registered('bob');
    const sdp =
      'v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:a-key-of-media\r\nm=message 9 TCP/MSRP *\r\n';
    alice.send('INVITE', bob.aor, { 'Content-Type': 'application/sdp' }, sdp);
    await bob.answer('INVITE', 486);
    alice.send('MESSAGE', bob.aor, { 'Content-Type': 'text/plain' }, 'a word to bob');
    await bob.answer('MESSAGE', 200);
    const mixed = '--b\r\nContent-Type: text/plain\r\n\r\na word in a part\r\n--b--\r\n';
    alice.send('MESSAGE', bob.aor, { 'Content-Type': 'multipart/mixed;boundary=b' }, mixed);
    await bob.answer('MESSAGE', 200);
    const sentTo = (method: string): number =>
      program.log.filter((line) => startLine(line).startsWith(`sent ${method} `)).length;
    await expect.poll(() => [sentTo('INVITE'), sentTo('MESSAGE')]).toEqual([1, 2]);
    const texts = program.log.map(({ message }) => String(message));
    const ofInvite = texts.filter((text) => text.startsWith('INVITE '));
    expect(ofInvite.length).toBeGreaterThan(1);
    for (const text of ofInvite) {
      expect(text).toContain('m=message 9 TCP/MSRP *');
      expect(text).toContain('a=crypto:1 AES_CM_128_HMAC_SHA1_80 (hidden)');
    }
    expect(texts.some((text) => text.endsWith('\r\n\r\n(13 octets)'))).toBe(true);
    expect(program.stdout).not.toMatch(/a-key-of-media|a word/);
  });

  it('has of a message that cannot be read, why', async () => {
    const { program } = await started('trace');
    const stranger = await Phone.open('mallory', (await program.ready()).port);
    cleanups.push(() => stranger.close());
    stranger.peer.sendOctets('REGISTER sip:ims.test SIP/2.0\r\nVia: nonsense\r\n\r\n', stranger.server);
    const { message } = await program.logged(({ msg }) => msg === 'SIP message received');
    expect(message).toMatch(/^\(malformed: .+\)\r\nREGISTER sip:ims\.test SIP\/2\.0\r\nVia: nonsense/);
  });
});

describe('the log at level debug', () => {
  it('has no SIP message', async () => {
    const { program, registered } = await started('debug');
    await registered('alice');
    await program.logged(({ msg }) => msg === 'decision');
    expect(program.log.filter(({ message }) => message !== undefined)).toEqual([]);
    expect(program.stdout).not.toContain('SIP/2.0');
  });
});
