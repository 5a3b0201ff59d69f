import { describe, expect, it } from 'vitest';
import { logTrail } from '../../src/app/trail-log.js';
import { VirtualClock } from '../../src/base/clock.js';
import type { Logger } from '../../src/base/log.js';
import { MemoryTrail, type Outcome } from '../../src/base/trail.js';

type Line = [level: string, fields: object];

function start(level: 'debug' | 'info') {
  const clock = new VirtualClock();
  const trail = new MemoryTrail(() => clock.now());
  const lines: Line[] = [];
  const at =
    (name: string) =>
    (fields: object): void => {
      if (name !== 'debug' || level === 'debug') lines.push([name, fields]);
    };
  const log: Logger = {
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    isLevelEnabled: (asked) => asked !== 'debug' || level === 'debug',
    child: () => log,
  };
  logTrail(trail, clock, log);
  const record = (outcome: Outcome, times = 1): void => {
    for (let i = 0; i < times; i++)
      trail.record({
        code: 'core.routed-to-aor',
        outcome,
        clause: 'RFC 3261 §16.5',
        subject: 'sip:a@ims.test',
      });
  };
  return { clock, lines, record };
}

describe('the trail in the log', () => {
  it('has every refusal at info, with its code and clause, and nothing else', () => {
    const { lines, record } = start('info');
    record('accepted');
    record('refused');
    expect(lines).toMatchObject([
      [
        'info',
        {
          code: 'core.routed-to-aor',
          outcome: 'refused',
          clause: 'RFC 3261 §16.5',
          subject: 'sip:a@ims.test',
        },
      ],
    ]);
  });

  it('has everything at debug', () => {
    const { lines, record } = start('debug');
    record('accepted');
    record('noted');
    expect(lines.map(([level]) => level)).toEqual(['debug', 'debug']);
  });

  it('has fifty refusals a second and then their number', () => {
    const { clock, lines, record } = start('info');
    record('refused', 70);
    expect(lines).toHaveLength(50);
    clock.advance(1_010);
    expect(lines.at(-1)).toEqual(['warn', { refusals: 20 }]);
    record('refused');
    expect(lines).toHaveLength(52);
  });
});
