import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { XMLValidator } from 'fast-xml-parser';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfig, variables } from '../../src/config/load.js';

const root = resolve(import.meta.dirname, '../..');
const folder = join(root, 'docker');
const composeFiles = ['compose.yaml', 'compose.drachtio.yaml', 'compose.lab.yaml'];

interface Service {
  readonly image: string;
  readonly user?: string;
  readonly network_mode?: string;
  readonly ports?: readonly string[];
  readonly command?: readonly string[];
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly healthcheck?: unknown;
  readonly stop_grace_period?: string;
  readonly depends_on?: Readonly<Record<string, { condition: string }>>;
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const text = (name: string): string => readFileSync(join(folder, name), 'utf8');
const compose = (name: string): Compose => parse(text(name), { merge: true }) as Compose;
const examples = new Map(
  text('.env.example')
    .split('\n')
    .filter((line) => /^[A-Z]/.test(line))
    .map((line) => line.split('=') as [string, string]),
);

/** Variables of a compose file as Compose puts them in, those without default given here. */
function interpolated(value: string, more: Readonly<Record<string, string>> = {}): string {
  const given: Record<string, string> = {
    PARLEY_API_TOKEN: 'a-token-of-the-test-run',
    DRACHTIO_SECRET: 'cymru',
    ...more,
  };
  return value.replace(
    /\$\{([A-Z_]+)(?::-([^}]*)|:\?[^}]*)\}/g,
    (_match, name: string, standard: string | undefined) => given[name] ?? standard ?? '',
  );
}

describe('the compose files', () => {
  it.each(composeFiles)('%s parses, and every path in it is there', (name) => {
    const { services, volumes } = compose(name);
    expect(Object.keys(services).length).toBeGreaterThan(0);
    for (const { build, volumes: mounts = [] } of Object.values(services)) {
      if (build) {
        expect(resolve(folder, build.context)).toBe(root);
        expect(existsSync(join(resolve(folder, build.context), build.dockerfile))).toBe(true);
      }
      for (const mount of mounts) {
        const [from = ''] = mount.split(':');
        if (from.startsWith('.')) expect(existsSync(resolve(folder, from)), mount).toBe(true);
        else expect(Object.keys(volumes), mount).toContain(from);
      }
    }
  });

  it.each(composeFiles)('%s names no variable that the server or .env.example does not know', (name) => {
    for (const [, variable = ''] of text(name).matchAll(/\$\{([A-Z_]+)/g))
      expect([...examples.keys()], variable).toContain(variable);
    for (const { environment = {} } of Object.values(compose(name).services))
      for (const variable of Object.keys(environment))
        expect([...Object.keys(variables), 'PARLEY_CONFIG'], variable).toContain(variable);
  });

  it.each(composeFiles)('%s gives each Parley a configuration that it starts with', (name) => {
    for (const { environment, build } of Object.values(compose(name).services)) {
      if (!build) continue;
      const env = Object.fromEntries(
        Object.entries(environment ?? {}).map(([key, value]) => [key, interpolated(value)]),
      );
      expect(loadConfig(undefined, env).domain).toBe('ims.test');
    }
  });

  it.each(composeFiles)(
    '%s lets phones reach SIP, IMPS, CIR and MSRP at PARLEY_ADDRESS, and nobody the API',
    (name) => {
      const address = '192.0.2.10';
      const at = (value: string): string => interpolated(value, { PARLEY_ADDRESS: address });
      const reached = new Set<string>();
      for (const { build, environment = {}, ports = [], network_mode: mode } of Object.values(
        compose(name).services,
      )) {
        const published = ports.map(at).map((port) => port.split(':'));
        for (const [host = '', outside, inside = ''] of published)
          if (host === address) {
            expect(inside.split('/')[0]).toBe(outside);
            reached.add(outside!);
          }
        if (!build) continue;
        const config = loadConfig(
          undefined,
          Object.fromEntries(Object.entries(environment).map(([key, value]) => [key, at(value)])),
        );
        const { listen, cirListen, publicHttp, publicCir } = config.imps;
        for (const listener of [listen, cirListen, config.msrp.listen]) {
          const [host, port = ''] = listener.split(':');
          if (mode === 'host') expect(host).toBe(address);
          else expect([...reached], listener).toContain(port);
        }
        if (mode === 'host') expect(config.http.listen).toBe('127.0.0.1:8080');
        else
          expect([publicHttp, publicCir, config.msrp.advertise]).toEqual([
            `http://${listen.replace('0.0.0.0', address)}`,
            cirListen.replace('0.0.0.0', address),
            address,
          ]);
        expect(published.filter(([, , inside]) => inside === '8080').map(([host]) => host)).toEqual(
          mode === 'host' ? [] : ['127.0.0.1'],
        );
      }
    },
  );

  it.each(composeFiles)('%s takes away every right that a Parley does not need', (name) => {
    for (const service of Object.values(compose(name).services)) {
      if (!service.build) continue;
      expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], init: true });
      expect(Number.parseInt(service.stop_grace_period ?? '0', 10)).toBeGreaterThan(
        loadConfig(undefined, {}).drainSeconds,
      );
    }
  });

  it('has drachtio-server listen on the port that phones are told', () => {
    const { command, ports } = compose('compose.drachtio.yaml').services['drachtio']!;
    const at = (value: string): string => interpolated(value, { PARLEY_SIP_PORT: '5099' });
    expect(command?.map(at)).toContain('sip:*:5099;transport=udp,tcp');
    expect(ports?.map(at)).toEqual(['127.0.0.1:5099:5099/udp', '127.0.0.1:5099:5099/tcp']);
  });

  it('waits with the Parleys until Redis answers', () => {
    const { services } = compose('compose.drachtio.yaml');
    expect(services['redis']?.healthcheck).toBeDefined();
    for (const name of ['parley-1', 'parley-2'])
      expect(services[name]?.depends_on?.['redis']?.condition).toBe('service_healthy');
  });

  it('has secrets without a default, so that nobody runs with ours', () => {
    for (const secret of ['DRACHTIO_SECRET', 'PARLEY_API_TOKEN']) {
      expect(examples.get(secret)).toBe('');
      expect(text('compose.drachtio.yaml')).not.toContain(`\${${secret}:-`);
    }
  });

  it('gives the lab filter criteria that are well-formed and name the server of the compose file', () => {
    expect(XMLValidator.validate(text('ifc.xml'))).toBe(true);
    expect(text('ifc.xml')).toContain('<ServerName>sip:127.0.0.1:5070</ServerName>');
    expect(text('compose.lab.yaml')).toContain('${PARLEY_SIP_PORT:-5070}');
  });
});

describe('the image', () => {
  const lines = text('Dockerfile').split('\n');
  const last = (word: string): string | undefined =>
    lines
      .filter((line) => line.startsWith(`${word} `))
      .at(-1)
      ?.slice(word.length + 1);

  it('is made of files that are there', () => {
    for (const line of lines) {
      const copied = /^COPY (?!--from)(.+) \S+$/.exec(line)?.[1];
      for (const path of copied?.split(' ') ?? []) expect(existsSync(join(root, path)), path).toBe(true);
    }
  });

  it('runs as a user without rights, asks after its health and stops by SIGTERM', () => {
    expect(last('USER')).toBe('node');
    expect(last('STOPSIGNAL')).toBe('SIGTERM');
    expect(last('HEALTHCHECK')).toContain('docker/healthcheck.js');
    expect(last('CMD')).toBe('["node", "--max-semi-space-size=32", "dist/src/main.js", "serve"]');
  });

  it('leaves out of its context what it does not need', () => {
    const ignored = readFileSync(join(root, '.dockerignore'), 'utf8').split('\n');
    expect(ignored).toEqual(expect.arrayContaining(['.git', 'node_modules', 'test', 'docker/.env']));
    for (const path of ['src', 'package.json', 'docker']) expect(ignored).not.toContain(path);
  });

  it.each([
    [200, 0],
    [503, 1],
  ])('is healthy as /readyz says: %i gives exit code %i', async (status, code) => {
    const server = createServer((request, response) => {
      response.statusCode = request.url === '/readyz' ? status : 404;
      response.end();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const check = spawn(process.execPath, [join(folder, 'healthcheck.js')], {
      env: { ...process.env, PARLEY_HTTP_LISTEN: `0.0.0.0:${port}` },
    });
    const [exitCode] = (await once(check, 'exit')) as [number];
    server.close();
    expect(exitCode).toBe(code);
  });

  it('is unhealthy when nothing answers', () => {
    const { status } = spawnSync(process.execPath, [join(folder, 'healthcheck.js')], {
      env: { ...process.env, PARLEY_HTTP_LISTEN: '127.0.0.1:1' },
    });
    expect(status).toBe(1);
  });
});
