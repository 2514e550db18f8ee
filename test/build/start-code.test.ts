import { expect, test } from 'vitest';
import { assembleStart } from '../../build/assembler.ts';
import { START_CODE } from '../../build/start-code.ts';

test.each(['x64', 'arm64'] as const)('the start code for %s is what its source assembles to', (arch) => {
  expect(assembleStart(arch).toString('base64')).toBe(START_CODE[arch]);
});
