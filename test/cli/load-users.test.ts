import { describe, expect, it } from 'vitest';
import { blocks, deviceLines, instanceId, userLines } from '../../src/cli/load/users.js';
import { InstanceId } from '../../src/identity/instance-id.js';

describe('the users that a load makes up', () => {
  it('have a name, a password by the common rule, and one device each', () => {
    expect([...deviceLines(7, 2)]).toEqual([
      'SEQUENTIAL\n',
      'user7;user7-secret;d1;urn:uuid:00000000-0000-4000-8000-00000000001c\n',
      'user8;user8-secret;d1;urn:gsma:imei:35000000-000008-0\n',
    ]);
  });

  it('are written in few pieces, however many they are', () => {
    const pieces = [...blocks(deviceLines(1, 10_000))];
    expect(pieces.length).toBeLessThan(20);
    expect(pieces.join('')).toBe([...deviceLines(1, 10_000)].join(''));
  });

  it('have Instance IDs that the server takes, and that no other of a million devices has', () => {
    const seen = new Set<string>();
    for (let user = 999_990; user < 1_000_010; user++) {
      for (const index of [0, 1, 2]) seen.add(InstanceId.fromUrn(instanceId(user, index)).key);
    }
    for (let user = 0; user < 20; user++) {
      for (const index of [0, 1, 2]) seen.add(InstanceId.fromUrn(instanceId(user, index)).key);
    }
    expect(seen.size).toBe(40 * 3);
  });

  it('have a phone, a tablet and a laptop where a scenario wants three devices', () => {
    const [, line] = [...userLines(1, 1)];
    expect(line?.trim().split(';')).toHaveLength(5);
  });
});
