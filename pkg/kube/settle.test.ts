import { assert, constant, dictionary, jsonValue, oneof, property, string } from 'fast-check';
import { expect, test } from 'vitest';
import type { JsonObject, JsonValue } from '../cni/plugin.ts';
import type { KubeObject } from './kube-client.ts';
import { isAsSent, isPatched } from './settle.ts';

interface Thing extends KubeObject {
  readonly spec?: unknown;
  readonly status?: unknown;
}
const sent: Thing = {
  apiVersion: 'v1',
  kind: 'Thing',
  metadata: { name: 'a', resourceVersion: '7', uid: 'u' },
  spec: { a: 1, b: { c: ['x'] } },
};
const kept = { generation: 3, managedFields: [{}], creationTimestamp: 'now', namespace: 'n', labels: {} };

test.each([
  ['the same', { ...sent, metadata: { ...sent.metadata, ...kept, resourceVersion: '8' } }, true],
  ['with a status of its own', { ...sent, status: { used: 3 } }, true],
  ['with another value', { ...sent, spec: { a: 2, b: { c: ['x'] } } }, false],
  ['with a key more', { ...sent, spec: { a: 1, b: { c: ['x'] }, d: 1 } }, false],
  ['with a key less', { ...sent, spec: { a: 1 } }, false],
  ['with another label', { ...sent, metadata: { ...sent.metadata, labels: { x: 'y' } } }, false],
  ['of another name', { ...sent, metadata: { name: 'b' } }, false],
] as [string, Thing, boolean][])('an object %s is what was sent: %s', (_, found, same) => {
  expect(isAsSent(sent, found)).toBe(same);
});

test('a status that was sent has to be there', () => {
  expect(isAsSent({ ...sent, status: 1 } as Thing, { ...sent, status: 2 } as Thing)).toBe(false);
});

test('keys that are undefined are as if they were not there', () => {
  expect(
    isAsSent({ ...sent, spec: { a: undefined, b: 1 } } as Thing, { ...sent, spec: { b: 1 } } as Thing),
  ).toBe(true);
});

/** RFC 7396, section 2, as it stands there. */
function mergePatch(target: JsonValue | undefined, patch: JsonValue): JsonValue {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const base = typeof target === 'object' && target !== null && !Array.isArray(target) ? target : {};
  const result: Record<string, JsonValue> = { ...(base as Record<string, JsonValue>) };
  for (const [key, value] of Object.entries(patch as JsonObject))
    if (value === null) delete result[key];
    else if (value !== undefined) result[key] = mergePatch(result[key], value);
  return result;
}

const object = dictionary(string({ maxLength: 3 }), oneof(jsonValue({ maxDepth: 2 }), constant(null)), {
  maxKeys: 5,
  noNullPrototype: true,
});

test('what a merge patch made is patched, and what it would change is not', () => {
  void assert(
    property(object, object, (target, patch) => {
      const before = JSON.parse(JSON.stringify(target)) as JsonObject;
      const wanted = JSON.parse(JSON.stringify(patch)) as JsonObject;
      const after = mergePatch(before, wanted) as JsonObject;
      expect(isPatched(wanted, after)).toBe(true);
      if (JSON.stringify(sorted(after)) !== JSON.stringify(sorted(before)))
        expect(isPatched(wanted, before)).toBe(false);
    }),
  );
});

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, one]) => [key, sorted(one)]),
  );
};
