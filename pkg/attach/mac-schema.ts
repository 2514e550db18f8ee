// A MAC address in a configuration, and which of the three places that may name one wins.
import * as v from 'valibot';
import { ManifoldError } from '../errors/manifold-error.ts';
import { isMulticast, readMac } from '../ip/mac.ts';

/** Ethernet, unicast, not zero; lower case with colons afterwards. */
export const macSchema = v.pipe(
  v.string(),
  v.check(
    (text) => usableMac(text) !== undefined,
    'must be a unicast Ethernet MAC such as 02:00:5e:00:53:01',
  ),
  v.transform((text) => usableMac(text) ?? text),
);

function usableMac(text: string): string | undefined {
  const mac = readMac(text);
  return mac === undefined || isMulticast(mac) || mac === '00:00:00:00:00:00' ? undefined : mac;
}

/**
 * runtimeConfig.mac, then MAC= in CNI_ARGS, then the configuration's own: the reference plugins' order.
 * @throws ManifoldError 'bad-environment' for a bad MAC in CNI_ARGS
 */
export function requestedMac(
  config: {
    readonly mac?: string | undefined;
    readonly runtimeConfig?: { readonly mac?: string | undefined } | undefined;
  },
  args: Readonly<Record<string, string>>,
): string | undefined {
  if (config.runtimeConfig?.mac !== undefined) return config.runtimeConfig.mac;
  const { MAC } = args;
  if (MAC === undefined || MAC === '') return config.mac;
  const mac = usableMac(MAC);
  if (mac === undefined)
    throw new ManifoldError(
      'bad-environment',
      `Cannot use MAC in CNI_ARGS as it must be a unicast Ethernet MAC: current value is "${MAC}"`,
      { hint: 'Write it as 02:00:5e:00:53:01.' },
    );
  return mac;
}
