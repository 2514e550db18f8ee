// IPPools that a configuration names: read from the API server, or as they were last read, and checked for whom they are.
import * as v from 'valibot';
import { sentence } from '../pkg/cni/config-error.ts';
import { isManifoldError, ManifoldError } from '../pkg/errors/manifold-error.ts';
import { parseAddress } from '../pkg/ip/address.ts';
import type { KubeClient, RawObject } from '../pkg/kube/kube-client.ts';
import { isKubeError } from '../pkg/kube/kube-error.ts';
import type { NodeStore, PodRef } from '../pkg/state/node-store.ts';
import type { IpamConfig } from './config.ts';
import { readDuration } from './duration.ts';
import { IP_POOLS, type IpPoolSpec } from './ip-pool.ts';
import { isUsable, type LeaseTerms, type Pool, poolOf } from './pool.ts';
import { poolSpecSchema } from './pool-spec-schema.ts';

export interface PoolDeps {
  readonly client: KubeClient;
  readonly store: Pick<NodeStore, 'copies'>;
  /** Milliseconds since the epoch, by this machine's clock. */
  readonly now: () => number;
}

/** For whom: undefined where nobody in particular asks (STATUS, CHECK). */
export interface PoolUser {
  readonly pod: PodRef;
  readonly nodeName: string;
  /** What it has already, by this node's records: where that is of the pool, any copy will do. */
  readonly own?: readonly { readonly domain: string; readonly address: string }[];
}

/** A copy of this age serves: the calls of one ADD read a pool once, and so does a burst of pods. */
const FRESH_MS = 10_000;

/**
 * The configuration with a set for each IPPool that it names.
 * @throws ManifoldError 'bad-config' when there is no such pool, when it cannot be used, or when this pod or node may
 *   not have addresses of it; KubeError when the API server is away and no copy is here
 */
export async function withPools(
  config: IpamConfig,
  deps: PoolDeps,
  user: PoolUser | undefined,
  signal: AbortSignal,
): Promise<IpamConfig> {
  if (config.pools.length === 0) return config;
  const sets = await Promise.all(
    config.pools.map(async (name) => {
      const spec = copyForOwner(name, config, deps, user) ?? (await readPool(name, deps, signal));
      if (user !== undefined) refuseOthers(name, spec, user);
      return [poolOfSpec(name, spec, config.terms)];
    }),
  );
  const gateways = sets.flat().flatMap(({ gateway }) => gateway ?? []);
  return { ...config, sets, gateways: [...config.gateways, ...gateways] };
}

/** An owner that has its addresses needs no newer range, and gets them while the API server is away. */
function copyForOwner(
  name: string,
  { pools, terms }: IpamConfig,
  { store }: PoolDeps,
  user: PoolUser | undefined,
): IpPoolSpec | undefined {
  const own = user?.own ?? [];
  const copy = own.length < pools.length ? undefined : store.copies.get(copyKey(name));
  if (copy === undefined) return undefined;
  const spec = parsePoolSpec(name, copy.spec);
  const pool = poolOfSpec(name, spec, terms);
  const isOfPool = own.some(
    ({ domain, address }) => domain === pool.domain && isUsable(pool, parseAddress(address)),
  );
  return isOfPool ? spec : undefined;
}

const copyKey = (name: string): string => `ippool/${name}`;

async function readPool(name: string, deps: PoolDeps, signal: AbortSignal): Promise<IpPoolSpec> {
  const { copies } = deps.store;
  const key = copyKey(name);
  const copy = copies.get(key);
  const age = deps.now() - Number(copy?.readAt ?? Number.NaN);
  if (copy !== undefined && age >= 0 && age < FRESH_MS) return parsePoolSpec(name, copy.spec);
  try {
    const { spec } = await deps.client.get<RawObject>(IP_POOLS, name, { signal });
    const parsed = parsePoolSpec(name, spec);
    keepCopy(deps, key, parsed);
    return parsed;
  } catch (error) {
    if (isKubeError(error, 'NotFound') && error.isResourceUnknown)
      throw new ManifoldError(
        'bad-config',
        `Cannot use 'ipam.pool': the cluster does not know IPPools (${name})`,
        {
          hint: 'Their definition is missing: kubectl get crd ippools.ipam.manifold.dev; kubectl apply -R -f deploy/',
          cause: error,
        },
      );
    if (isKubeError(error, 'NotFound'))
      throw new ManifoldError('bad-config', `Cannot use 'ipam.pool': there is no IPPool "${name}"`, {
        hint: `"kubectl get ippools" lists those that are there.`,
        cause: error,
      });
    if (!isManifoldError(error, 'try-later') || copy === undefined) throw error;
    return parsePoolSpec(name, copy.spec);
  }
}

function keepCopy({ store, now }: PoolDeps, key: string, spec: IpPoolSpec): void {
  try {
    store.copies.put(key, { readAt: now(), spec: { ...spec } });
  } catch (error) {
    // The next call reads it from the API server again.
    if (!isManifoldError(error, 'state', 'try-later')) throw error;
  }
}

/** @throws ManifoldError 'bad-config' naming pool and field */
export function parsePoolSpec(name: string, spec: unknown): IpPoolSpec {
  const parsed = v.safeParse(poolSpecSchema, spec);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  const field = issue.path?.map(({ key }) => String(key)).join('.') ?? '';
  throw badPool(name, `spec.${field}`, issue.message, issue.input);
}

/** @param own what the definition itself says @throws ManifoldError 'bad-config' naming pool and field */
export function poolOfSpec(name: string, spec: IpPoolSpec, own: LeaseTerms = {}): Pool {
  const reuseDelaySeconds = readDuration(spec.reuseDelay ?? '');
  const stickySeconds = readDuration(spec.sticky ?? '');
  const found = poolOf(
    {
      range: spec.range,
      start: spec.rangeStart,
      end: spec.rangeEnd,
      exclude: spec.exclude,
      keys: { range: 'spec.range', start: 'spec.rangeStart', end: 'spec.rangeEnd', exclude: 'spec.exclude' },
    },
    {
      domain: spec.domain ?? '',
      domainPerSubnet: false,
      gateways: spec.gateway === undefined ? [] : [parseAddress(spec.gateway)],
      firstIsGateway: false,
      terms: {
        ...(spec.order !== undefined && { order: spec.order }),
        ...(reuseDelaySeconds !== undefined && { reuseDelaySeconds }),
        ...(stickySeconds !== undefined && { stickySeconds }),
        ...own,
      },
    },
  );
  if ('rule' in found) throw badPool(name, found.key, found.rule, found.value);
  return found;
}

function badPool(name: string, field: string, rule: string, value: unknown): ManifoldError {
  const what = sentence(field, rule, value).replace('Cannot use ', `Cannot use IPPool ${name}, `);
  return new ManifoldError('bad-config', what, { hint: `Mend it with "kubectl edit ippool ${name}".` });
}

function refuseOthers(name: string, { namespaces, nodes }: IpPoolSpec, { pod, nodeName }: PoolUser): void {
  const refuse = (who: string, may: string) => {
    throw new ManifoldError('bad-config', `Cannot use IPPool ${name} for ${who}: it is for ${may}`, {
      hint: 'Name another pool in the definition, or let who manages the pool admit this one too.',
    });
  };
  if (namespaces !== undefined && !namespaces.some((pattern) => fits(pattern, pod.namespace ?? '')))
    refuse(
      pod.namespace === undefined ? 'a caller that names no pod' : `pods of namespace ${pod.namespace}`,
      `namespaces ${namespaces.join(', ') || 'of no name'}`,
    );
  if (nodes !== undefined && !nodes.some((pattern) => fits(pattern, nodeName)))
    refuse(`pods of node ${nodeName}`, `nodes ${nodes.join(', ') || 'of no name'}`);
}

/** "team-*": a star stands for any text. */
function fits(pattern: string, name: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  if (rest.length === 0) return pattern === name && name !== '';
  const last = rest.pop() ?? '';
  if (!name.startsWith(first)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return name !== '' && name.length - at >= last.length && name.endsWith(last);
}
