import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { XMLValidator } from 'fast-xml-parser';
import { describe, expect, it } from 'vitest';

const FOLDER = 'sipp-scenarios';
const read = (name: string): string => readFileSync(`${FOLDER}/${name}`, 'utf8');
const scenarios = readdirSync(FOLDER).filter((name) => name.endsWith('.xml'));

describe.each(scenarios)('the SIPp scenario %s', (name) => {
  it('is well-formed, comments as well', () => {
    const text = read(name);
    expect(XMLValidator.validate(text)).toBe(true);
    for (const [, comment] of text.matchAll(/<!--(.*?)-->/gs)) expect(comment).not.toContain('--');
  });

  it('stands in the README, and its commands name files that are there or that one of them writes', () => {
    expect(read('README.md')).toContain(`\`${name}\``);
    const [head] = read(name).split('<scenario');
    const written = [...head!.matchAll(/(?:-log_file |> ?)(\S+)/g)].map(([, file]) => file);
    for (const [, file] of head!.matchAll(/-(?:inf|sf) (\S+)/g))
      expect([file, existsSync(`${FOLDER}/${file}`) || written.includes(file)]).toEqual([file, true]);
  });

  it('has commands that digest does not stop: its uri names the domain, not the address of the server', () => {
    for (const [command] of read(name).matchAll(/sipp \d+\.\d+\.\d+\.\d+:\d+ .*/g))
      expect(command).toContain('-auth_uri ims.test');
  });
});
