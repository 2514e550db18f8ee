// The directory of NetworkAttachmentDefinition manifests of local mode: YAML (several documents) or JSON, Lists too.
// It only reads; a broken file of one network never stands in the way of another's.
import { parseAllDocuments } from 'yaml';
import { isManifoldError } from '../pkg/errors/manifold-error.ts';
import { type Definition, isDefinition, parseDefinition } from './definition.ts';
import type { Files } from './files.ts';

export interface DefinitionDirectory {
  readonly directory: string;
  readonly definitions: readonly Definition[];
  /** One sentence for each file or document that cannot be used. */
  readonly problems: readonly string[];
  /** How many files were looked at. */
  readonly files: number;
}

/** Several documents may stand in one file; etcd takes objects of 1.5 MB. */
const MAX_LENGTH = 4 * 1024 * 1024;
const EXTENSIONS = /\.(ya?ml|json)$/;

/**
 * Reads the manifests.
 * @param mentioning when given, only files whose text has one of these words are parsed
 * @throws ManifoldError 'io' when the directory cannot be read; a file that cannot is one of the problems
 */
export function readDefinitions(
  files: Files,
  directory: string,
  mentioning?: readonly string[],
): DefinitionDirectory {
  const definitions: Definition[] = [];
  const problems: string[] = [];
  const names = (files.list(directory) ?? []).filter(
    (name) => EXTENSIONS.test(name) && !name.startsWith('.'),
  );
  for (const name of names) {
    const path = `${directory}/${name}`;
    const text = readManifest(files, path, problems);
    // Removed since it was listed, or of no interest: nothing to parse.
    if (text === undefined || (mentioning && !mentioning.some((word) => text.includes(word)))) continue;
    for (const found of parseManifests(text, path)) {
      if (typeof found === 'string') problems.push(found);
      else definitions.push(found);
    }
  }
  return { directory, definitions, problems: [...problems, ...duplicates(definitions)], files: names.length };
}

/** What cannot be read is a problem of its own: other files' networks can still be had. */
function readManifest(files: Files, path: string, problems: string[]): string | undefined {
  try {
    const text = files.readText(path);
    if (text === undefined || text.length <= MAX_LENGTH) return text?.replace(/^\uFEFF/, '');
    problems.push(`${path}: is longer than ${MAX_LENGTH} characters`);
  } catch (error) {
    if (!isManifoldError(error, 'io')) throw error;
    problems.push(error.message);
  }
  return undefined;
}

/** Every definition of one file's text, and one sentence for each document that cannot be used. */
export function parseManifests(text: string, path: string): (Definition | string)[] {
  const documents = path.endsWith('.json') ? [jsonDocument(text)] : yamlDocuments(text);
  return documents.flatMap((document, index) => {
    const source = documents.length > 1 ? `${path}, document ${index + 1}` : path;
    if ('problem' in document) return [`${source}: ${document.problem}`];
    return itemsOf(document.value).flatMap(({ value, suffix }) => {
      if (!isDefinition(value)) return [];
      const definition = parseDefinition(value, `${source}${suffix}`);
      return [typeof definition === 'string' ? `${source}${suffix}: ${definition}` : definition];
    });
  });
}

type Document = { readonly value: unknown } | { readonly problem: string };

function jsonDocument(text: string): Document {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { problem: `is not JSON (${error.message})` };
  }
}

function yamlDocuments(text: string): Document[] {
  // The library compares each key with each other one: a mapping of 5,000 keys would take a second.
  const parsed = parseAllDocuments(text, { prettyErrors: true, uniqueKeys: false });
  return [...parsed].map((document) => {
    const [error] = document.errors;
    // The library adds an excerpt of the source below the first line.
    if (error) return { problem: `is not YAML (${error.message.split('\n')[0]?.replace(/:$/, '')})` };
    return plainValue(() => document.toJS() as unknown);
  });
}

function plainValue(resolve: () => unknown): Document {
  try {
    return { value: resolve() };
  } catch (error) {
    // The library's guard against aliases that multiply without end, and aliases of nothing.
    if (!(error instanceof ReferenceError)) throw error;
    return { problem: `is not usable YAML (${error.message})` };
  }
}

/** The objects of a document: itself, or what a `kind: List` holds. */
function itemsOf(value: unknown): { readonly value: unknown; readonly suffix: string }[] {
  if (typeof value !== 'object' || value === null) return [];
  const { kind, items } = value as { kind?: unknown; items?: unknown };
  if (typeof kind === 'string' && kind.endsWith('List') && Array.isArray(items))
    return items.map((item: unknown, index) => ({ value: item, suffix: `, item ${index + 1}` }));
  return [{ value, suffix: '' }];
}

function duplicates(definitions: readonly Definition[]): string[] {
  const seen = new Map<string, Definition>();
  return definitions.flatMap((definition) => {
    const key = `${definition.namespace}/${definition.name}`;
    const first = seen.get(key);
    if (first === undefined) seen.set(key, definition);
    return first === undefined ? [] : [`${definition.source}: ${key} is already defined in ${first.source}`];
  });
}
