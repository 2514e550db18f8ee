import { describe, expect, test } from 'vitest';
import { planPoolStatus, seenPool, takenByDomain } from './pool-status.ts';
import type { SeenLease } from './seen-lease.ts';

const NOW = Date.parse('2026-01-02T03:04:05.678Z');

const pool = (spec: object, status?: object) =>
  seenPool({ metadata: { name: 'rail' }, spec, ...(status && { status }) });

const lease = (address: string, more: Partial<SeenLease> = {}): SeenLease => ({
  ...{ name: address, uid: 'u', resourceVersion: '1', domain: '', address, network: 'n', node: 'node-1' },
  ...{ phase: 'Held', until: undefined },
  owner: { podNamespace: 'ns', podName: 'p', uid: 'x', ifname: 'net1', containerId: 'c' },
  ...more,
});
const resting = (address: string, untilMs = NOW + 1000) =>
  lease(address, { phase: 'Resting', until: untilMs });

const statusOf = (spec: object, leases: readonly SeenLease[]) =>
  planPoolStatus(pool(spec), takenByDomain(leases, NOW), NOW);

describe('a pool', () => {
  test('says how many of its addresses are held, rest and are free', () => {
    const leases = [lease('10.1.0.1'), lease('10.1.0.2'), resting('10.1.0.3'), lease('10.2.0.1')];
    expect(statusOf({ range: '10.1.0.0/24' }, leases)).toMatchObject({
      ...{ capacity: '254', used: 2, resting: 1, free: '251' },
      conditions: [
        { type: 'Valid', status: 'True' },
        { type: 'Available', status: 'True', lastTransitionTime: '2026-01-02T03:04:05Z' },
      ],
    });
  });

  test('counts what has rested as free', () => {
    expect(statusOf({ range: '10.1.0.0/24' }, [resting('10.1.0.3', NOW)])).toMatchObject({
      resting: 0,
      free: '254',
    });
  });

  test('counts only its domain, its family, and not its exclusions', () => {
    const leases = [lease('10.1.0.1', { domain: 'other' }), lease('fd00::1'), lease('10.1.0.9')];
    const spec = { range: '10.1.0.0/24', exclude: ['10.1.0.8/29'], gateway: '10.1.0.254' };
    expect(statusOf(spec, leases)).toMatchObject({ capacity: '245', used: 0, free: '245' });
  });

  test('of more addresses than a number can say says them all', () => {
    expect(statusOf({ range: 'fd00::/64' }, [lease('fd00::1')])).toMatchObject({
      ...{ capacity: '18446744073709551615', used: 1, free: '18446744073709551614' },
    });
  });

  test('without a free address is not available', () => {
    const leases = [lease('10.1.0.1'), resting('10.1.0.2')];
    expect(statusOf({ range: '10.1.0.0/30' }, leases)).toMatchObject({
      free: '0',
      conditions: [{ status: 'True' }, { status: 'False', message: '1 addresses are held, and 1 rest.' }],
    });
  });

  test('that cannot be used says why', () => {
    expect(statusOf({ range: '10.1.0.0/24', rangeStart: '10.9.0.1' }, [])).toMatchObject({
      conditions: [
        { type: 'Valid', status: 'False', message: expect.stringContaining('spec.rangeStart') },
        { type: 'Available', status: 'False' },
      ],
    });
  });

  test('whose status is right is not written, and a condition keeps the time since which it is so', () => {
    const spec = { range: '10.1.0.0/24' };
    const status = statusOf(spec, []);
    const again = (leases: readonly SeenLease[]) =>
      planPoolStatus(pool(spec, status), takenByDomain(leases, NOW), NOW + 5000);
    expect(again([])).toBeUndefined();
    expect(again([lease('10.1.0.1')])?.conditions[0]?.lastTransitionTime).toBe('2026-01-02T03:04:05Z');
  });
});
