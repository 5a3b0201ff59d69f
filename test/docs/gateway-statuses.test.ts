import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { fromPhone, toPhone, type StatusRow } from '../../src/gateway/status-map.js';
import { statusTitles } from '../../src/imps/index.js';
import { reasonPhrase } from '../../src/sip/message/reason-phrases.js';

const title = (row: StatusRow): string => `${row.csp} ${statusTitles[row.csp]}`;
const phrase = ({ sip }: StatusRow): string => {
  const words = reasonPhrase(sip);
  return words === 'Unknown' ? String(sip) : `${sip} ${words}`;
};

function page(): string {
  return [
    '# Statuses between SIP and CSP',
    '',
    'The one table of the gateway, `src/gateway/status-map.ts`. This page is written by its test:',
    '`npx vitest run test/docs/gateway-statuses.test.ts -u`.',
    '',
    '## What a phone hears',
    '',
    'The final SIP response to what was sent for a phone, and the status in its response, its delivery report or its error message. Any',
    'other response below 300 is 200, 3xx is 901, 4xx is 400, 5xx is 500 and 6xx is 538.',
    '',
    '| SIP | CSP | meaning |',
    '| --- | --- | --- |',
    ...toPhone.map((row) => `| ${phrase(row)} | ${title(row)} | ${row.meaning} |`),
    '',
    '## What a SIP user hears',
    '',
    'What a phone, or the IMPS server for it, says, and the final SIP response. Any other status below 300 is 200, 4xx is 400, 5xx is 500,',
    '6xx is 480, 7xx and above is 403.',
    '',
    '| CSP | SIP | meaning |',
    '| --- | --- | --- |',
    ...[...fromPhone]
      .sort((a, b) => a.csp - b.csp)
      .map((row) => `| ${title(row)} | ${phrase(row)} | ${row.meaning} |`),
    '',
  ].join('\n');
}

it('the page of statuses has every row of the table as it is', async () => {
  await expect(page()).toMatchFileSnapshot(resolve(import.meta.dirname, '../../docs/gateway-statuses.md'));
});
