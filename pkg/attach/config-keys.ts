// Keys of a network configuration that every interface plugin has.
import * as v from 'valibot';
import { isPciAddress } from '../pci/pci-device.ts';

/** The name of an interface of the host: what the kernel takes for one. */
export const linkName = (longest: number) =>
  v.pipe(
    v.string('must be a string'),
    v.check(
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be in it
      (name) => /^[^/:\s\u0000-\u001f]+$/.test(name) && name.length <= longest,
      `must be the name of an interface, of 1 to ${longest} characters`,
    ),
  );

/** Only what the interface plugin itself reads of it; the rest is the IPAM plugin's matter. */
export const ipamKey = v.nullish(
  v.looseObject({ type: v.optional(v.string('must be a string')) }, 'must be an object'),
);

export const pciAddress = v.pipe(
  v.string('must be a string'),
  v.transform((text) => text.toLowerCase()),
  v.check(isPciAddress, 'must be a PCI address such as 0000:3b:00.2'),
);

/** A name that stands in a path below /sys: no way out of its directory. */
export const deviceId = v.pipe(
  v.string('must be a string'),
  v.regex(/^[A-Za-z0-9][A-Za-z0-9_.:-]*$/, 'must be the name of a PCI or auxiliary device'),
);
