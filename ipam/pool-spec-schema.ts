// The spec of an IPPool as it comes from the API server. Its CRD says most of this too, but may be another version's.
import * as v from 'valibot';
import { oneOf, text } from '../pkg/cni/fields.ts';
import { readAddress } from '../pkg/ip/address.ts';
import { duration } from './duration.ts';
import type { IpPoolSpec } from './ip-pool.ts';

const word = () => v.optional(v.string('must be a string'));
const words = () => v.optional(v.array(v.string('must be a string'), 'must be a list'));

export const poolSpecSchema: v.GenericSchema<unknown, IpPoolSpec> = v.pipe(
  v.object(
    {
      range: text(),
      rangeStart: word(),
      rangeEnd: word(),
      exclude: words(),
      gateway: v.optional(
        v.pipe(
          text(),
          v.check((s) => readAddress(s) !== undefined, 'must be an IP address'),
        ),
      ),
      domain: word(),
      reuseDelay: duration(),
      sticky: duration(),
      order: v.optional(oneOf(['lowest', 'spread'])),
      namespaces: words(),
      nodes: words(),
    },
    'must be an object',
  ),
  // Absent keys are absent: the shape has no key that is undefined.
  v.transform(
    (spec) =>
      Object.fromEntries(
        Object.entries(spec).filter(([, value]) => value !== undefined),
      ) as unknown as IpPoolSpec,
  ),
);
