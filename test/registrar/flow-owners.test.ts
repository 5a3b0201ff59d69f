import { describe, expect, it } from 'vitest';
import { FlowOwners } from '../../src/registrar/flow-owners.js';

describe('the owners of flows', () => {
  it('are told each once, up to the number that is a proxy and stays one', () => {
    const owners = new FlowOwners();
    for (const set of ['a', 'b', 'a', 'c', 'd']) owners.add('flow', set);
    expect(owners.of('flow')).toEqual(['a', 'b', 'c', 'd']);
    owners.add('flow', 'e');
    expect(owners.of('flow')).toEqual([]);
    for (const set of ['f', 'a']) owners.add('flow', set);
    expect(owners.of('flow')).toEqual([]);
    owners.delete('flow');
    owners.add('flow', 'a');
    expect(owners.of('flow')).toEqual(['a']);
  });

  it('are forgotten beyond the limit, those first over which nobody registered lately', () => {
    const owners = new FlowOwners(4);
    for (const flow of ['1', '2', '3', '1', '4']) owners.add(flow, `set ${flow}`);
    expect(['1', '2', '3', '4'].map((flow) => owners.of(flow))).toEqual([
      ['set 1'],
      [],
      ['set 3'],
      ['set 4'],
    ]);
    owners.delete('1');
    expect(owners.of('1')).toEqual([]);
  });
});
