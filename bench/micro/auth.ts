// npx tsc -p bench/micro && node dist/micro/bench/micro/auth.js
import { SystemClock } from '../../src/base/clock.js';
import { digestAlgorithm, digestHa1, type HashName } from '../../src/sip/auth/algorithm.js';
import { parseCredentials, writeCredentials } from '../../src/sip/auth/credentials.js';
import { DigestClient } from '../../src/sip/auth/digest-client.js';
import { DigestServer } from '../../src/sip/auth/digest-server.js';
import { digestResponse, ResponseVerifier } from '../../src/sip/auth/digest.js';
import { GuessLock } from '../../src/sip/auth/guess-lock.js';
import { ServerNonces } from '../../src/sip/auth/nonce.js';
import { measure } from './measure.js';

const clock = new SystemClock((error) => {
  throw error;
});
const nonces = new ServerNonces({ clock, key: Buffer.alloc(16, 1), lifetimeMs: 3_600_000 });
const request = { method: 'REGISTER', uri: 'sip:ims.test', source: '127.0.0.1' };
const server = new DigestServer({
  realm: 'ims.test',
  nonces,
  userLock: new GuessLock({ clock, limit: 5, windowMs: 60_000 }),
  sourceLock: new GuessLock({ clock, limit: 100, windowMs: 60_000 }),
});

measure('issue a nonce', () => nonces.issue());
measure('three challenges with one nonce', () => server.challenges());

for (const name of ['MD5', 'SHA-256', 'SHA-512-256'] as const satisfies HashName[]) {
  const algorithm = digestAlgorithm(name)!;
  const ha1 = digestHa1(name, 'alice', 'ims.test', 'alice-secret');
  const verifier = new ResponseVerifier();
  const client = new DigestClient({ username: 'alice', password: 'alice-secret' });
  client.challenged(server.challenges().filter((value) => value.includes(`algorithm=${name},`)));
  const value = client.sign(request)!;
  const credentials = parseCredentials(value)!;
  measure(`${name}: parse credentials`, () => parseCredentials(value));
  measure(`${name}: verify the response`, () => verifier.verify(algorithm, ha1, credentials, request));
  // judged with rising counts, each answer prepared beforehand
  const answers: string[] = [];
  for (let count = 1; count <= 400_000; count++) {
    const signed = { ...credentials, nc: count.toString(16).padStart(8, '0') };
    const text = writeCredentials({ ...signed, response: digestResponse(algorithm, ha1, signed, request) });
    answers.push(Buffer.from(text).toString('latin1')); // one flat string, as it comes from the wire
  }
  let accepted = 0;
  const before = process.cpuUsage();
  for (const answer of answers) {
    const verdict = server.judge(parseCredentials(answer), () => ha1, request);
    if (!(verdict instanceof Promise) && verdict.kind === 'accepted') accepted++;
  }
  const { user, system } = process.cpuUsage(before);
  if (accepted !== answers.length) throw new Error(`only ${accepted} of ${answers.length} were accepted`);
  const each = (user + system) / answers.length;
  console.log(`${`${name}: parse, verify, nonce, locks`.padEnd(60)} ${each.toFixed(2).padStart(8)} µs`);
}
