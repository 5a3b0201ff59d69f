import { Validator } from '@seriousme/openapi-schema-validator';
import { request } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Devices, IMEI, UUID, withInstance } from '../core/devices.js';
import { startParley, type RunningParley } from '../tools/parley.js';

const TOKEN = 'a-token-of-the-lab';
let parley: RunningParley;
const devices = new Devices(() => parley);

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

async function call(method: string, path: string, body?: object, token?: string): Promise<Answer> {
  const response = await fetch(`${parley.api}${path}`, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

describe('the admin API on loopback', () => {
  beforeAll(async () => {
    parley = await startParley({ auth: 'none' });
  });
  afterAll(() => parley.stop());
  afterEach(() => devices.close());

  it('shows each device of an identity with its GRUU, and de-registers one and then all', async () => {
    await devices.register('alice', withInstance(IMEI));
    await devices.register('alice', withInstance(UUID));
    const path = '/api/v1/registrations/sip:alice@ims.test';
    const { body } = await call('GET', path);
    expect(body).toMatchObject({
      aor: 'sip:alice@ims.test',
      bindings: expect.arrayContaining([
        expect.objectContaining({ instance: UUID, publicGruu: `sip:alice@ims.test;gr=${UUID}` }),
        expect.objectContaining({ instance: IMEI }),
      ]) as unknown,
    });
    const one = await call('DELETE', `${path}?instance=${encodeURIComponent(UUID)}`);
    expect(one.body['bindings']).toMatchObject([{ instance: UUID }]);
    expect((await call('GET', path)).body['bindings']).toMatchObject([{ instance: IMEI }]);
    expect((await call('DELETE', path)).status).toBe(200);
    expect((await call('DELETE', path)).body).toMatchObject({ error: 'registration-unknown' });
  });

  it('lists registrations in pages', async () => {
    for (const user of ['p1', 'p2', 'p3']) await devices.register(user);
    const first = await call('GET', '/api/v1/registrations?limit=2');
    expect((first.body['registrations'] as { aor: string }[]).map(({ aor }) => aor)).toEqual([
      'sip:p1@ims.test',
      'sip:p2@ims.test',
    ]);
    const rest = await call('GET', `/api/v1/registrations?limit=2&after=${String(first.body['next'])}`);
    expect(rest.body).toMatchObject({ registrations: [{ aor: 'sip:p3@ims.test' }] });
    expect(rest.body['next']).toBeUndefined();
  });

  it('adds, shows and removes subscribers, and never shows a credential', async () => {
    const erin = { privateId: 'erin@ims.test', password: 'erin-secret', identities: ['sip:erin@ims.test'] };
    const added = await call('POST', '/api/v1/subscribers', erin);
    expect(added.status).toBe(201);
    expect((await call('POST', '/api/v1/subscribers', erin)).body).toMatchObject({
      error: 'subscriber-exists',
    });
    const shown = await call('GET', '/api/v1/subscribers');
    expect(shown.body).toMatchObject({
      subscribers: [{ privateId: 'erin@ims.test', identities: ['sip:erin@ims.test'] }],
    });
    expect(JSON.stringify([added, shown])).not.toMatch(/secret|ha1|[0-9a-f]{32}/i);
    expect((await call('DELETE', '/api/v1/subscribers/erin@ims.test')).status).toBe(200);
    expect((await call('DELETE', '/api/v1/subscribers/erin@ims.test')).status).toBe(404);
  });

  it.each([
    ['GET', '/api/v1/registrations?limit=0', 400, 'http-bad-request'],
    ['GET', '/api/v1/registrations/sip:nobody@elsewhere.test', 404, 'registration-unknown'],
    ['GET', '/api/v1', 404, 'http-not-found'],
    ['GET', '/api/v1/nothing', 404, 'http-not-found'],
    ['POST', '/api/v1/subscribers', 400, 'http-bad-request'],
  ])('answers %s %s with %i and the code %s', async (method, path, status, error) => {
    const answer = await call(method, path, method === 'POST' ? { privateId: 'x' } : undefined);
    expect([answer.status, answer.body['error']]).toEqual([status, error]);
  });

  it.each([
    ['/api/v1/subscribers', { pasword: 'x' }, 'body has an unknown property "pasword"'],
    [
      '/api/v1/subscribers',
      { aka: { k: '0'.repeat(32), opC: '' } },
      'body/aka has an unknown property "opC"',
    ],
    ['/api/v1/imps/users', { barred: true }, 'body has an unknown property "barred"'],
  ])('refuses what is posted to %s with %o, naming what it does not know', async (path, more, message) => {
    const erin = { privateId: 'erin@ims.test', password: 'erin-secret', identities: ['sip:erin@ims.test'] };
    const whole = path.endsWith('subscribers') ? erin : { user: 'wv:erin@ims.test', password: 'erin-secret' };
    expect(await call('POST', path, { ...whole, ...more })).toMatchObject({
      status: 400,
      body: { error: 'http-bad-request', message },
    });
  });

  it.each([
    ['GET', '/api/v1/registrations?limits=5'],
    ['DELETE', '/api/v1/registrations/sip:alice@ims.test?instanse=urn:uuid:x'],
    ['GET', '/api/v1/sessions?usr=sip:alice@ims.test'],
    ['GET', '/api/v1/trail?subjct=sip:alice@ims.test'],
    // a route that has no parameters at all
    ['GET', '/api/v1/subscribers/alice@ims.test?x=1'],
  ])('refuses %s %s, naming the parameter that it does not know', async (method, path) => {
    const [, name] = /\?(\w+)=/.exec(path)!;
    expect(await call(method, path)).toMatchObject({
      status: 400,
      body: { error: 'http-bad-request', message: `querystring has an unknown property "${name}"` },
    });
  });

  it('refuses a profile that is given with what it does not know', async () => {
    const frank = { privateId: 'frank@ims.test', password: 'secret', identities: ['sip:frank@ims.test'] };
    expect((await call('POST', '/api/v1/subscribers', frank)).status).toBe(201);
    const path = '/api/v1/subscribers/frank@ims.test';
    expect(await call('PUT', `${path}/profile`, { profile: null, profil: 'x' })).toMatchObject({
      status: 400,
      body: { error: 'http-bad-request', message: expect.stringContaining('"profil"') as string },
    });
    await call('DELETE', path);
  });

  it('is described by an OpenAPI document that has every route', async () => {
    const { body } = await call('GET', '/api/v1/openapi.json');
    expect(Object.keys(body['paths'] as object)).toEqual(
      expect.arrayContaining([
        '/api/v1/registrations',
        '/api/v1/registrations/{aor}',
        '/api/v1/subscribers',
        '/api/v1/trail',
      ]),
    );
  });

  it('is described by a document that holds to OpenAPI, and tells of no query parameters that there are not', async () => {
    const { body } = await call('GET', '/api/v1/openapi.json');
    expect(await new Validator().validate(body)).toEqual({ valid: true });
    const paths = body['paths'] as Record<
      string,
      Record<string, { parameters?: { name: string; in: string }[] }>
    >;
    const { get } = paths['/api/v1/registrations/{aor}']!;
    expect(get!.parameters!.map(({ name, in: where }) => `${where} ${name}`).sort()).toEqual([
      'path aor',
      'query instance',
    ]);
    expect(paths['/api/v1/imps']!['get']!.parameters ?? []).toEqual([]);
  });

  it('answers no request whose Host names something else, as pages that rebind a name make them', async () => {
    const { hostname, port } = new URL(parley.api);
    const status = await new Promise<number | undefined>((resolve, reject) => {
      request({ hostname, port, path: '/api/v1/subscribers', headers: { host: 'evil.test' } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
    expect(status).toBe(403);
  });
});

describe('the admin API with a token', () => {
  beforeAll(async () => {
    parley = await startParley({ auth: 'none', http: { listen: '127.0.0.1:0', token: TOKEN } });
  });
  afterAll(() => parley.stop());

  it.each([
    [undefined, 401],
    ['wrong', 401],
    [TOKEN, 200],
  ])('given %s answers %i', async (token, status) => {
    expect((await call('GET', '/api/v1/subscribers', undefined, token)).status).toBe(status);
  });

  it('leaves health and metrics open', async () => {
    for (const path of ['/healthz', '/readyz', '/metrics'])
      expect((await fetch(`${parley.api}${path}`)).status).toBe(200);
  });
});
