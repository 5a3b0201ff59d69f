import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Mac } from '../../src/base/mac.js';

describe('a mark', () => {
  it('is the cut-off SHA-512/256 of the key, hashed to one length, and the text', () => {
    const key = createHash('sha256').update('secret').digest('base64url');
    const whole = createHash('sha512-256').update(`${key}text`).digest('base64url');
    expect(new Mac('secret', 12).of('text')).toBe(whole.slice(0, 12));
    expect(new Mac(Buffer.from('secret'), 22).of('text')).toBe(whole.slice(0, 22));
  });

  it('is right for its text and key alone, in its whole length', () => {
    const [mac, other] = [new Mac(randomBytes(32), 12), new Mac(randomBytes(32), 12)];
    fc.assert(
      fc.property(fc.string(), fc.string({ minLength: 1 }), (text, more) => {
        const mark = mac.of(text);
        expect(mac.isOf(text, mark)).toBe(true);
        for (const wrong of ['', mark.slice(1), `${mark}A`, `é${mark.slice(2)}`, other.of(text)])
          expect(mac.isOf(text, wrong)).toBe(false);
        expect(mac.isOf(text + more, mark)).toBe(false);
      }),
    );
  });
});
