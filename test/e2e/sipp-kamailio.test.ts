import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startKamailio } from '../../bench/servers/kamailio.js';
import type { RunningServer } from '../../bench/servers/server.js';
import { load, runLoad, type LoadOptions } from '../../src/cli/load.js';
import { missing } from '../tools/install.js';

const lacking = missing('sipp') ?? missing('kamailio');
const options = (
  server: RunningServer,
  more: Pick<LoadOptions, 'scenario'> & Partial<LoadOptions>,
): LoadOptions => ({
  target: `127.0.0.1:${server.port}`,
  calls: 40,
  rate: 0,
  users: 20,
  concurrency: 8,
  ...more,
});

// Kamailio judges the scenarios: what they expect of a registrar and proxy is not only what Parley does
describe.skipIf(lacking)(`the SIPp scenarios against Kamailio ${lacking ?? ''}`, () => {
  let open: RunningServer;
  let digest: RunningServer;
  beforeAll(async () => {
    [open, digest] = await Promise.all([startKamailio(), startKamailio({ digest: true })]);
  });
  afterAll(() => Promise.all([open.stop(), digest.stop()]));

  it.each([
    'register',
    'register-refresh',
    'register-devices',
    'register-wildcard',
    'invite-aor',
    'invite-public-gruu',
    'invite-temporary-gruu',
    'message',
  ] as const)('%s: every call succeeds without authentication', async (scenario) => {
    const summary = await runLoad(options(open, { scenario }));
    expect(summary).toMatchObject({ successful: 40, failed: 0, firstError: undefined });
    expect(Object.values(summary.responseTimes)[0]?.count).toBeGreaterThanOrEqual(40);
  });

  it.each(['register-digest', 'register-refresh', 'register-devices', 'register-wildcard'] as const)(
    '%s: every call succeeds with digest',
    async (scenario) => {
      expect(await runLoad(options(digest, { scenario }))).toMatchObject({ successful: 40, failed: 0 });
    },
  );

  it('the demo users call each other by temporary GRUU after registering with digest', async () => {
    const summary = await runLoad(
      options(digest, { scenario: 'invite-temporary-gruu', users: 'demo', calls: 4 }),
    );
    expect(summary).toMatchObject({ successful: 4, failed: 0 });
  });

  it('a server that lets a REGISTER pass without digest fails the digest scenario, and the summary says why', async () => {
    let text = '';
    const code = await load(options(open, { scenario: 'register-digest', calls: 3 }), {
      write: (part: string) => (text += part),
    });
    expect(code).toBe(1);
    expect(text).toContain('failed            3 (3 UnexpectedMessage)');
    expect(text).toMatch(/first error {7}Aborting call on unexpected message .* received 'SIP\/2.0 200 OK/);
  });

  it('a run that is ended early starts no more calls', async () => {
    const stop = new AbortController();
    const summary = await runLoad(
      options(open, {
        scenario: 'register',
        calls: 1_000_000,
        rate: 50,
        signal: stop.signal,
        onProgress: () => stop.abort(),
      }),
    );
    expect(summary.failed).toBe(0);
    expect(summary.successful).toBeLessThan(500);
  });
});

describe.skipIf(missing('sipp'))('a load that cannot be run', () => {
  const base: LoadOptions = { scenario: 'register', target: '127.0.0.1:9', calls: 1, rate: 1, users: 'demo' };

  it.each([
    [{ target: 'nowhere' }, 'the target is not host:port'],
    [{ users: 0 }, 'users is not'],
    [{ calls: 0 }, 'calls is not'],
    [{ rate: -1 }, 'rate is not'],
    [{ localAddress: 'localhost' }, 'the local address is not an IP address'],
  ])('%j is refused with what is wrong', async (change, reason) => {
    await expect(runLoad({ ...base, ...change })).rejects.toMatchObject({
      code: 'load-bad-option',
      message: expect.stringContaining(reason) as unknown,
    });
  });
});
