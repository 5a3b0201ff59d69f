import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readMessage, wbxmlCoding, writeMessage } from '../../../src/imps/codec/coding.js';
import { child, element, textOf, type Element } from '../../../src/imps/codec/element.js';
import { capabilityRequest, codeOf } from '../tools/phone.js';
import { world, type World } from '../tools/world.js';

const certs = join(import.meta.dirname, '../../sip/transport/certs');
const ca = readFileSync(join(certs, 'ca.pem'));

let here: World;
beforeEach(async () => {
  here = await world({ tls: { cert: join(certs, 'server.pem'), key: join(certs, 'server.key') } });
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
  it('logs a phone in, and gives it a CIR poll over http all the same', async () => {
    expect(here.url).toMatch(/^https:/);
    const login = here.phone('alice').loginElement(element('Password', 'alice-secret'));
    const answer = await post(login);
    expect(codeOf(answer)).toBe(200);
    const agreed = await post(
      capabilityRequest('1.3', element('SupportedCIRMethod', 'SHTTP')),
      textOf(answer, 'SessionID'),
    );
    const list = child(agreed, 'AgreedCapabilityList');
    expect(textOf(child(list, 'CIRHTTPAddress'), 'URL')).toMatch(/^http:\/\/\S+\/cir\?pc=/);
  });

  it('answers nobody who speaks HTTP without TLS', async () => {
    await expect(fetch(here.url.replace('https:', 'http:'))).rejects.toThrow();
  });
});
