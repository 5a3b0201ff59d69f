import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { serialize } from '../../src/sip/message/serialize.js';
import type { SipResponse } from '../../src/sip/message/message.js';
import { DigestClient } from '../../src/sip/auth/digest-client.js';
import { Devices } from '../core/devices.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import type { Phone } from '../tools/phone.js';

let parley: RunningParley;
const devices = new Devices(() => parley);
beforeAll(async () => {
  parley = await startParley({
    digest: { maxFailures: 3 },
    subscribers: [
      { privateId: 'known@ims.test', password: 'known-secret', identities: ['sip:known@ims.test'] },
      { privateId: 'other@ims.test', password: 'other-secret', identities: ['sip:other@ims.test'] },
    ],
  });
});
afterAll(() => parley.stop());
afterEach(() => devices.close());

/** A response without what differs by nature: the name itself, ports, tags, branches, nonces. */
function shape(response: SipResponse, user: string): string {
  return Buffer.from(serialize(response))
    .toString()
    .replaceAll(user, 'USER')
    .replace(/nonce="[^"]+"/g, 'nonce=""')
    .replace(/;(?:tag|branch|rport)=[^;\r\n]+/g, '')
    .replace(/(?:127\.0\.0\.1:|USER-)\d+/g, '');
}

const challenges: Readonly<Record<string, string>> = {
  REGISTER: 'WWW-Authenticate',
  MESSAGE: 'Proxy-Authenticate',
};

/** Sends a request of a user, without credentials or with the wrong password. */
async function ask(phone: Phone, method: string, password?: string): Promise<SipResponse> {
  const uri = method === 'REGISTER' ? 'sip:ims.test' : 'sip:other@ims.test';
  const headers = method === 'REGISTER' ? { To: `<${phone.aor}>` } : {};
  const first = await phone.ask(method, uri, headers);
  if (password === undefined) return first;
  const client = new DigestClient({ username: `${phone.user}@ims.test`, password });
  client.challenged(first.headers.lines(challenges[method]!));
  const name = method === 'REGISTER' ? 'Authorization' : 'Proxy-Authorization';
  return phone.ask(method, uri, { ...headers, [name]: client.sign({ method, uri, body: new Uint8Array() }) });
}

describe('a wrong or missing credential', () => {
  it.each([
    ['REGISTER', undefined, 401],
    ['REGISTER', 'wrong', 401],
    ['MESSAGE', undefined, 407],
    ['MESSAGE', 'wrong', 407],
  ])(
    'in a %s (password %s) gets %i, the same for a user that exists and one that does not',
    async (method, password, status) => {
      const answers: string[] = [];
      for (const user of ['known', 'ghost']) {
        const answer = await ask(await devices.open(user), method, password);
        expect(answer.status).toBe(status);
        answers.push(shape(answer, user));
      }
      expect(answers[1]).toBe(answers[0]);
    },
  );

  it('is told apart in the trail alone: a wrong password, or no such subscriber', async () => {
    for (const user of ['other', 'nobody']) await ask(await devices.open(user), 'REGISTER', 'wrong');
    const told = parley.app.trail
      .recent({ code: 'auth.wrong-credentials', limit: 2 })
      .map(({ subject, detail }) => [subject, detail]);
    expect(told).toEqual([
      ['nobody@ims.test', 'no such subscriber'],
      ['other@ims.test', undefined],
    ]);
  });

  it('locks both after as many wrong answers, with the same 403', async () => {
    const answers: string[][] = [];
    for (const user of ['known', 'ghost']) {
      const phone = await devices.open(user);
      const seen: string[] = [];
      for (let i = 0; i < 5; i++) {
        const answer = await ask(phone, 'REGISTER', 'wrong');
        seen.push(`${answer.status} ${shape(answer, user)}`.replace(/(REGISTER-|CSeq: )\d+/g, ''));
      }
      answers.push(seen);
    }
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[0]!.at(-1)).toMatch(/^403 /);
  });
});
