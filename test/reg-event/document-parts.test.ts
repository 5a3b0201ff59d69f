import { expect, it } from 'vitest';
import { partsOf } from '../../src/reg-event/document-parts.js';
import type { Binding, BindingChange } from '../../src/registrar/registration.js';

const binding = (id: string): Binding => ({ id, registeredAt: 1, refreshedAt: 1 }) as Binding;

it('documents that one has no room for name each contact once, changes with theirs, and those that went in the first', () => {
  const bindings = Array.from({ length: 10 }, (_, i) => binding(`b${i}`));
  const changes: BindingChange[] = [
    { event: 'refreshed', binding: bindings[7]! },
    { event: 'unregistered', binding: binding('gone') },
  ];
  const parts = partsOf({ registration: { bindings, instances: [] }, changes }, 20_000, 12_000);
  expect(parts.map(({ registration }) => registration.bindings.map(({ id }) => id))).toEqual([
    ['b0', 'b1', 'b2'],
    ['b3', 'b4', 'b5'],
    ['b6', 'b7', 'b8'],
    ['b9'],
  ]);
  expect(parts.map((part) => part.changes.map(({ event, binding: { id } }) => `${id} ${event}`))).toEqual([
    ['gone unregistered'],
    ['b3 registered', 'b4 registered', 'b5 registered'],
    ['b7 refreshed', 'b6 registered', 'b8 registered'],
    ['b9 registered'],
  ]);
});

it('a document that has room for no contact has one all the same', () => {
  const told = { registration: { bindings: [binding('a'), binding('b')], instances: [] }, changes: [] };
  expect(partsOf(told, 20_000, 100)).toHaveLength(2);
});
