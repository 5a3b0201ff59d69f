import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Devices, IMEI, UUID, withInstance } from '../core/devices.js';
import { openBrowser, type Browser } from '../tools/browser.js';
import { missing } from '../tools/install.js';
import { startParley, type RunningParley } from '../tools/parley.js';

const lacking = missing('chromium');

describe.skipIf(lacking)(`the console in a browser ${lacking ?? ''}`, () => {
  let browser: Browser;
  let parley: RunningParley;
  const devices = new Devices(() => parley);
  beforeAll(async () => {
    browser = await openBrowser();
  });
  afterEach(async () => {
    await devices.close();
    await parley.stop();
  });
  afterAll(() => browser.close());

  it('shows health, the devices of a user with their GRUUs, and why something was refused', async () => {
    parley = await startParley({ auth: 'none' });
    await devices.register('alice', `${withInstance(UUID)};mobility="mobile"`);
    // what a device says of itself is shown as text
    const Contact = '<sip:%3Cb%3E@127.0.0.1:9>';
    await devices.register('alice', withInstance(IMEI), {
      'User-Agent': '<script>',
      Contact: `${Contact}${withInstance(IMEI)}`,
    });
    const bob = await devices.register('bob');
    expect((await bob.ask('MESSAGE', 'sip:nobody@ims.test')).status).toBe(480);

    const { page, errors } = browser;
    const response = await page.goto(parley.api);
    expect(response!.headers()['content-security-policy']).toContain("script-src 'self'");
    await page.locator('#health.ready').waitFor();
    const row = page.locator('#registrations tbody tr', { hasText: UUID });
    await row.waitFor();
    const text = await row.innerText();
    expect(text).toContain(`sip:alice@ims.test;gr=${UUID}`);
    expect(text).toContain('mobility=mobile');
    expect(await page.locator('#registrations tbody tr').count()).toBe(3);

    await page.locator('#filter [name=outcome]').selectOption('refused');
    await page.locator('#trail .accepted').first().waitFor({ state: 'detached' });
    await page.locator('#filter [name=code]').fill('core-not-registered');
    const refusal = page.locator('#trail tbody tr', { hasText: 'core-not-registered' });
    await refusal.first().waitFor();
    expect(await refusal.first().innerText()).toMatch(
      /refused\s+core-not-registered\s+RFC 3261 §16\.5\s+sip:bob@ims\.test/,
    );
    expect(errors).toEqual([]);
  });

  it('asks for the token where the API wants one, and then shows what is there', async () => {
    parley = await startParley({
      auth: 'none',
      http: { listen: '127.0.0.1:0', token: 'a-token-of-the-lab' },
    });
    await devices.register('carol', withInstance(UUID));
    const { page } = browser;
    await page.goto(parley.api);
    await page.locator('#token input').fill('a-token-of-the-lab');
    await page.locator('#token button').click();
    await page.locator('#registrations tbody tr', { hasText: 'sip:carol@ims.test' }).waitFor();
    expect(await page.locator('#token').isVisible()).toBe(false);
  });
});
