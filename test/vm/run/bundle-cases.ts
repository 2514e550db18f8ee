// The guest's program and all cases in one file: what Node loads there at emulation speed should be small.
import { writeFileSync } from 'node:fs';
import { build } from 'esbuild';

/** @returns the source map of the written file */
export async function bundleCases(entry: string, outfile: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node26',
    minifyWhitespace: true,
    external: ['node:*'],
    sourcemap: 'external',
    legalComments: 'none',
    write: false,
  });
  const code = outputFiles.find(({ path }) => path.endsWith('.cjs'));
  const map = outputFiles.find(({ path }) => path.endsWith('.map'));
  if (code === undefined || map === undefined)
    throw new Error('Cannot bundle the cases: esbuild gave no file');
  writeFileSync(outfile, code.contents);
  return map.text;
}
