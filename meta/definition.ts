// NetworkAttachmentDefinition (NPWG section 3): the object, as `kubectl apply` takes it, into what the planner needs.
import * as v from 'valibot';
import type { JsonObject, JsonValue } from '../pkg/cni/plugin.ts';
import { isNamespaceName, isObjectName, NAME_RULE } from './kubernetes-name.ts';

export interface Definition {
  readonly namespace: string;
  readonly name: string;
  /** Where it was read, for people: "/etc/…/rails.yaml, document 2". */
  readonly source: string;
  /** The network configuration; undefined: the file of that name in the configuration directory holds it. */
  readonly config: JsonObject | undefined;
  /** Annotation k8s.v1.cni.cncf.io/resourceName: the device plugin's resource that the network needs. */
  readonly resourceName?: string;
}

const DEFINITION_KIND = 'NetworkAttachmentDefinition';
const GROUP = 'k8s.cni.cncf.io/';
const RESOURCE_ANNOTATION = 'k8s.v1.cni.cncf.io/resourceName';

const MANIFEST = v.looseObject({
  metadata: v.looseObject({
    name: v.pipe(v.string(), v.check(isObjectName, NAME_RULE)),
    namespace: v.optional(v.pipe(v.string(), v.check(isNamespaceName, NAME_RULE)), 'default'),
    annotations: v.optional(v.nullable(v.record(v.string(), v.unknown()))),
  }),
  spec: v.optional(
    v.nullable(
      v.looseObject({ config: v.optional(v.nullable(v.string('must be a string that holds JSON'))) }),
    ),
  ),
});

/** An object that is a NetworkAttachmentDefinition by kind and group, valid or not. */
export function isDefinition(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, apiVersion } = value as { kind?: unknown; apiVersion?: unknown };
  return kind === DEFINITION_KIND && typeof apiVersion === 'string' && apiVersion.startsWith(GROUP);
}

/**
 * Parses a manifest. A manifest without namespace stands for the namespace "default", as with kubectl.
 * @returns the definition, or one clause that says what is wrong
 */
export function parseDefinition(value: unknown, source: string): Definition | string {
  const parsed = v.safeParse(MANIFEST, value);
  if (!parsed.success) {
    const issue = parsed.issues[0];
    return `${v.getDotPath(issue) ?? 'the object'} ${issue.input === undefined ? 'is missing' : issue.message}`;
  }
  const { metadata, spec } = parsed.output;
  const resourceName = metadata.annotations?.[RESOURCE_ANNOTATION];
  const common = {
    namespace: metadata.namespace,
    name: metadata.name,
    source,
    ...(typeof resourceName === 'string' && resourceName !== '' && { resourceName }),
  };
  const text = spec?.config?.trim() ?? '';
  if (text === '') return { ...common, config: undefined };
  const config = parseJsonObject(text);
  return typeof config === 'string' ? `spec.config ${config}` : { ...common, config };
}

/** @returns the object, or one clause that says what is wrong */
export function parseJsonObject(text: string): JsonObject | string {
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return `is not JSON (${error.message})`;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'is JSON, but no object';
  return value as JsonObject;
}
