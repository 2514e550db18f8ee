// Writes start-code.ts after a change of start/*.s: node build/assemble.ts
import { writeFileSync } from 'node:fs';
import { assembleStart } from './assembler.ts';

const lines = (code: Buffer) =>
  (code.toString('base64').match(/.{1,96}/g) ?? []).map((line) => `    '${line}',`).join('\n');

writeFileSync(
  new URL('start-code.ts', import.meta.url),
  `// start/x64.s and start/arm64.s assembled, so that a build needs no assembler. test/build/start-code.test.ts
// assembles them again and compares; 'node build/assemble.ts' writes this file.

export const START_CODE = {
  x64: [
${lines(assembleStart('x64'))}
  ].join(''),
  arm64: [
${lines(assembleStart('arm64'))}
  ].join(''),
} as const;
`,
);
