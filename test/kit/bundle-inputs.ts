// What a shipped file is made of, by esbuild's own account (dist/inputs.json).
import { readFileSync } from 'node:fs';
import type { Metafile } from 'esbuild';

const FILE = new URL('../../dist/inputs.json', import.meta.url);

/** By the name of the file: "macvlan", …, "manifold-cli", and "all" for the executable. */
export function readInputs(): Readonly<Record<string, Metafile>> {
  return JSON.parse(readFileSync(FILE, 'utf8')) as Record<string, Metafile>;
}

/**
 * Bytes in the output by package; sources of this repository by their top folder.
 * @param eager leaves out what only an `import()` brings in
 */
export function bytesByPackage(meta: Metafile, eager: boolean): Map<string, number> {
  const output = Object.values(meta.outputs)[0];
  const seen = new Set<string>();
  const visit = (file: string) => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const { path, kind, external } of meta.inputs[file]?.imports ?? [])
      if (!external && !(eager && kind === 'dynamic-import')) visit(path);
  };
  visit(output?.entryPoint ?? '');
  const sums = new Map<string, number>();
  for (const file of seen) {
    const bytes = output?.inputs[file]?.bytesInOutput ?? 0;
    const name = /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? `${file.split('/')[0]}/`;
    if (bytes > 0) sums.set(name, (sums.get(name) ?? 0) + bytes);
  }
  return sums;
}

/** Names of npm packages, sorted. */
export function packagesIn(meta: Metafile, eager: boolean): string[] {
  return [...bytesByPackage(meta, eager).keys()].filter((name) => !name.endsWith('/')).sort();
}
