import { expect, test } from 'vitest';
import { parseUris } from './debian-suite.ts';

test('what apt-get would fetch is read with versions and sizes', () => {
  const text = [
    'NOTE: not a file',
    "'http://deb.debian.org/debian/pool/main/q/qemu/qemu-system-x86_10.0.13%2bds-0%2bdeb13u1_amd64.deb' " +
      'qemu-system-x86_1%3a10.0.13+ds-0+deb13u1_amd64.deb 10278596 SHA256:00ff',
    "'http://deb.debian.org/debian/pool/main/g/gcc-14/libatomic1_14.2.0-19_amd64.deb' libatomic1_14.2.0-19_amd64.deb 9308 SHA256:11",
    '',
  ].join('\n');
  expect(parseUris(text)).toEqual([
    { name: 'qemu-system-x86', version: '1:10.0.13+ds-0+deb13u1', bytes: 10278596 },
    { name: 'libatomic1', version: '14.2.0-19', bytes: 9308 },
  ]);
});
