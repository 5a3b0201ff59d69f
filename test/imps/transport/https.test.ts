import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readMessage, wbxmlCoding, writeMessage } from '../../../src/imps/codec/coding.js';
import { child, element, textOf, type Element } from '../../../src/imps/codec/element.js';
import { capabilityRequest, codeOf } from '../tools/phone.js';
import { userId, world, type World } from '../tools/world.js';
import { freePort } from '../../tools/free-port.js';

const certs = join(import.meta.dirname, '../../sip/transport/certs');
const ca = readFileSync(join(certs, 'ca.pem'));

let here: World;
const tls = { cert: join(certs, 'server.pem'), key: join(certs, 'server.key') };
beforeEach(async () => {
  here = await world({ tls });
});
afterEach(async () => {
  expect(here.errors).toEqual([]);
  await here.close();
});

/** Posts a request over TLS with the certificate checked. @returns the primitive of the answer */
function post(primitive: Element, sessionId?: string): Promise<Element> {
  const body = writeMessage(
    {
      version: '1.3',
      sessionType: sessionId === undefined ? 'Outband' : 'Inband',
      sessionId,
      transactions: [{ mode: 'Request', id: '1', primitive }],
      poll: undefined,
      cir: undefined,
    },
    wbxmlCoding,
  );
  return new Promise((resolve, reject) => {
    const sent = request(
      `${here.url}/csp`,
      {
        method: 'POST',
        ca,
        headers: { 'Content-Type': wbxmlCoding.contentType },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const { message } = readMessage(Buffer.concat(chunks), wbxmlCoding.contentType);
          resolve(message.transactions[0]!.primitive!);
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

describe('CSP over HTTPS', () => {
  /** What a login and a client capability negotiation that wants CIR by HTTP poll come to. */
  async function agreed(): Promise<Element | undefined> {
    const login = here.phone('alice').loginElement(element('Password', 'alice-secret'));
    const answer = await post(login);
    expect(codeOf(answer)).toBe(200);
    const list = await post(
      capabilityRequest('1.3', element('SupportedCIRMethod', 'SHTTP')),
      textOf(answer, 'SessionID'),
    );
    return child(list, 'AgreedCapabilityList');
  }

  it('logs a phone in, and does not agree to CIR polls where nothing listens for HTTP without TLS', async () => {
    expect(here.url).toMatch(/^https:/);
    const list = await agreed();
    expect(child(list, 'SupportedCIRMethod')).toBeUndefined();
    expect(child(list, 'CIRHTTPAddress')).toBeUndefined();
  });

  it('gives a phone a CIR poll at the listener for that, which takes no CSP', async () => {
    await here.close();
    here = await world({ tls, cirHttpListen: '127.0.0.1:0' });
    const url = textOf(child(await agreed(), 'CIRHTTPAddress'), 'URL') ?? '';
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/cir\?pc=/);
    expect((await fetch(url)).status).toBe(204);
    const sender = here.server.deliver(userId('alice'), {
      sender: { user: userId('bob') },
      contentType: 'text/plain',
      content: 'wake up',
    });
    expect((await sender).status).toBe(200);
    here.clock.advance(10_000);
    expect((await fetch(url)).status).toBe(200);
    expect((await fetch(new URL('/csp', url), { method: 'POST', body: 'x' })).status).toBe(404);
  });

  it.each([
    [{ publicHttp: 'https://imps.example' }, undefined],
    [{ publicHttp: 'https://imps.example', publicCirHttp: 'http://polls.example/' }, 'http://polls.example'],
    [{ publicHttp: 'http://imps.example:8080' }, 'http://imps.example:8080'],
  ])('behind a proxy, %j, tells of polls at %s', async (settings, told) => {
    await here.close();
    const listen = `127.0.0.1:${await freePort()}`;
    here = await world({ ...settings, listen });
    const phone = here.phone('alice', { url: `http://${listen}` });
    await phone.login2();
    const list = child(await phone.negotiate(element('SupportedCIRMethod', 'SHTTP')), 'AgreedCapabilityList');
    const url = textOf(child(list, 'CIRHTTPAddress'), 'URL');
    expect(url?.replace(/\/cir\?pc=.*/, '')).toBe(told);
    expect(textOf(list, 'SupportedCIRMethod')).toBe(told && 'SHTTP');
  });

  it('answers nobody who speaks HTTP without TLS', async () => {
    await expect(fetch(here.url.replace('https:', 'http:'))).rejects.toThrow();
  });
});
