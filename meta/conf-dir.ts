// The CNI configuration directory as libcni and Multus read it: by file order, by the `name` inside, by path.
import { dirname } from 'node:path';
import { faultOfName } from '../pkg/cni/names.ts';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import { parseJsonObject } from './definition.ts';
import type { Files } from './files.ts';

export interface ConfFile {
  readonly path: string;
  readonly config: JsonObject;
}

const LIST = /\.conflist$/;
const SINGLE = /\.(conf|json)$/;

/** @returns the file, or one sentence that says what is wrong; undefined when there is none */
export function readConfFile(files: Files, path: string): ConfFile | string | undefined {
  const text = files.readText(path);
  if (text === undefined) return undefined;
  const config = parseJsonObject(text);
  return typeof config === 'string'
    ? `${path} ${config}`
    : { path, config: withSiblings(files, path, config) };
}

/** A list without loadOnlyInlinedPlugins also has the plugins of <directory>/<name>/*.conf, as libcni reads it. */
function withSiblings(files: Files, path: string, config: JsonObject): JsonObject {
  const { name, plugins, loadOnlyInlinedPlugins: inlined } = config;
  if (!path.endsWith('.conflist') || inlined === true || inlined === 'true') return config;
  if (typeof name !== 'string' || faultOfName(name) !== undefined) return config;
  const directory = `${dirname(path)}/${name}`;
  if (files.kind(directory) !== 'directory') return config;
  const more = (files.list(directory) ?? [])
    .filter((one) => one.endsWith('.conf'))
    .map((one) => parseJsonObject(files.readText(`${directory}/${one}`) ?? ''))
    .filter((one) => typeof one === 'object');
  return { ...config, plugins: [...(Array.isArray(plugins) ? plugins : []), ...more] };
}

export interface ConfSearch {
  readonly found: ConfFile | undefined;
  /** Files that could not be read, one sentence each. */
  readonly problems: readonly string[];
}

/** The network of this `name`: configuration lists first, then single configurations (NPWG 3.4.1), by file name. */
export function findConfByName(files: Files, directory: string, name: string): ConfSearch {
  return search(files, directory, [LIST, SINGLE], ({ config }) => config.name === name);
}

/** The first file in alphabetical order that `accept` takes: what a runtime would use. */
export function firstConf(files: Files, directory: string, accept: (file: ConfFile) => boolean): ConfSearch {
  return search(files, directory, [/\.(conflist|conf|json)$/], accept);
}

function search(
  files: Files,
  directory: string,
  rounds: readonly RegExp[],
  accept: (file: ConfFile) => boolean,
): ConfSearch {
  const problems: string[] = [];
  const names = files.list(directory) ?? [];
  for (const pattern of rounds) {
    for (const name of names.filter((one) => pattern.test(one))) {
      const file = readConfFile(files, `${directory}/${name}`);
      if (typeof file === 'string') problems.push(file);
      else if (file !== undefined && accept(file)) return { found: file, problems };
    }
  }
  return { found: undefined, problems };
}
