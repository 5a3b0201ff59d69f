import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/config/errors.js';
import { loadConfig } from '../../src/config/load.js';

const yaml = (text: string) => ({ name: 'parley.yaml', text });

function problems(text: string, env: Record<string, string> = {}): string[] {
  try {
    loadConfig(yaml(text), env);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
}

describe('the configuration', () => {
  it('has the documented defaults without a file', () => {
    const config = loadConfig(undefined, {});
    expect(config.sip.listen).toEqual(['udp:127.0.0.1:5060', 'tcp:127.0.0.1:5060']);
    expect(config).toMatchObject({
      domain: 'ims.test',
      auth: 'digest',
      store: 'lmdb:./data',
      http: { listen: '127.0.0.1:8080' },
    });
    expect(config.roles).toEqual(['core', 'participating', 'controlling', 'imps']);
  });

  it('wants the bounds of a relay’s times in order', () => {
    expect(problems('msrp:\n  relay:\n    minExpires: 600\n    expires: 300\n')[0]).toContain(
      'minExpires, expires and maxExpires must be in that order',
    );
  });

  it('lets the environment win over the file', () => {
    const config = loadConfig(yaml('domain: a.test\nsip:\n  listen: [udp:127.0.0.1:5070]\n'), {
      PARLEY_DOMAIN: 'b.test',
      PARLEY_SIP_LISTEN: 'udp:127.0.0.1:1,tcp:[::1]:2',
    });
    expect(config.domain).toBe('b.test');
    expect(config.sip.listen).toEqual(['udp:127.0.0.1:1', 'tcp:[::1]:2']);
  });

  it('names line and reason of every problem', () => {
    expect(
      problems(
        'domain: ims.test\nsip:\n  listen:\n    - udp:127.0.0.1:5060\n    - sctp:127.0.0.1:5060\nauht: none\n',
      ),
    ).toEqual([
      'parley.yaml:5: sip.listen.1: must be PROTOCOL:HOST:PORT with udp, tcp, tls, ws or wss',
      'parley.yaml:6: auht: no such setting',
    ]);
  });

  it('names the line of a syntax error', () => {
    expect(problems('domain: ims.test\nsip: [\n')[0]).toMatch(/^parley\.yaml:\d+: /);
  });

  it('names the variable when the environment is wrong', () => {
    expect(problems('', { PARLEY_AUTH: 'maybe' })[0]).toMatch(/^PARLEY_AUTH: auth: /);
  });

  it('refuses listeners on all addresses where nodes must find each other', () => {
    const listen = 'sip: { listen: [udp:0.0.0.0:5060, "tcp:[::]:5060"] }\n';
    expect(problems(`store: redis://127.0.0.1\n${listen}`)).toEqual([
      'parley.yaml:2: sip.listen: nodes on Redis listen on addresses that the others reach, not on 0.0.0.0 or [::]',
    ]);
    expect(problems(listen)).toEqual([]);
    expect(problems(`store: redis://127.0.0.1\n${listen}`, { PARLEY_SIP_STACK: 'drachtio://:x@h' })).toEqual(
      [],
    );
  });

  it('refuses open authentication on an address that others can reach', () => {
    expect(problems('auth: none\nsip: { listen: [udp:192.0.2.1:5060] }\n')).toEqual([
      'parley.yaml:1: auth: none needs loopback listeners in sip.listen, or --insecure',
    ]);
    expect(
      loadConfig(yaml('auth: none\nsip: { listen: [udp:192.0.2.1:5060] }\n'), {}, { insecure: true }).auth,
    ).toBe('none');
  });

  it('wants a token for an admin API that others can reach', () => {
    expect(problems('http:\n  listen: 0.0.0.0:8080\n')).toEqual([
      'parley.yaml:2: http.token: needed when http.listen is not a loopback address',
    ]);
  });
});
