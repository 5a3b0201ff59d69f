import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readHosts } from '../../../src/sip/resolver/hosts-file.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hosts-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

describe('a hosts file', () => {
  it('gives every name of a line its address, without case, and comments aside', () => {
    const path = join(folder, 'hosts');
    writeFileSync(
      path,
      '127.0.0.1\tlocalhost\n# 192.0.2.9 no\n192.0.2.1  PCSCF.test pcscf # lab\n::1 localhost\nnonsense x\n\n',
    );
    expect([...readHosts(path)]).toEqual([
      ['localhost', ['127.0.0.1', '::1']],
      ['pcscf.test', ['192.0.2.1']],
      ['pcscf', ['192.0.2.1']],
    ]);
  });

  it('that is not there names nothing', () => {
    expect(readHosts(join(folder, 'none')).size).toBe(0);
  });
});
