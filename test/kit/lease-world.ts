// A lease store of its own for each test, and short words for asking it.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { claimRequestOf } from '../../ipam/claims.ts';
import { parseIpamConfig } from '../../ipam/config.ts';
import type { ClaimRequest, LeaseStore } from '../../ipam/lease-store.ts';
import { nodeLeaseStore } from '../../ipam/node-lease-store.ts';
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import { formatAddress } from '../../pkg/ip/address.ts';
import { checkState } from '../../pkg/state/check-state.ts';
import type { NodeStore, Writer } from '../../pkg/state/node-store.ts';
import { openNodeStore } from '../../pkg/state/open-node-store.ts';

export interface Asking {
  readonly container?: string;
  readonly uid?: string;
  readonly ifname?: string;
  readonly namespace?: string;
  readonly network?: string;
  /** IP of CNI_ARGS. */
  readonly ip?: string;
  /** More keys of the network configuration. */
  readonly more?: JsonObject;
}

export function claimRequest(ipam: JsonObject, asking: Asking = {}): ClaimRequest {
  const { container = 'c1', uid, ifname = 'net1', namespace = 'ns', network = 'rail0', ip, more } = asking;
  const config = parseIpamConfig({ name: network, ipam, ...more });
  return claimRequestOf(config, {
    network,
    containerId: container,
    ifname,
    netns: `/run/netns/${container}`,
    args: {
      K8S_POD_NAMESPACE: namespace,
      K8S_POD_NAME: uid ?? container,
      ...(uid && { K8S_POD_UID: uid }),
      ...(ip && { IP: ip }),
    },
  });
}

export class LeaseWorld {
  readonly node: NodeStore;
  readonly store: LeaseStore;
  readonly #directory = mkdtempSync(join(tmpdir(), 'manifold-ipam-'));
  #clock = 1000;

  constructor() {
    this.node = openNodeStore(this.#directory);
    // No namespace of these tests is there; tests with namespaces need root and stand in test/faults.
    this.store = nodeLeaseStore(this.node, {
      kernel: { openIfThere: () => undefined },
      now: () => this.#clock++,
    });
  }

  /** @returns the addresses given, as text */
  async give(ipam: JsonObject, asking: Asking = {}, as: 'claimed' | 'held' = 'held'): Promise<string[]> {
    const [grants = []] = await this.store.claim([claimRequest(ipam, asking)], as);
    return grants.map(({ address }) => formatAddress(address));
  }

  free(containerId: string, ifname = 'net1', network = 'rail0'): Promise<void> {
    return this.store.release({ containerId, ifname, network });
  }

  /** Time passes. */
  pass(milliseconds: number): void {
    this.#clock += milliseconds;
  }

  /** A process of this boot that has ended. */
  deadWriter(): Writer {
    return { ...this.node.writer, pid: spawnSync('true').pid ?? 1 };
  }

  /** @returns what is broken in the store: nothing may be */
  close(): string[] {
    const { broken } = checkState(this.node);
    this.node.close();
    rmSync(this.#directory, { recursive: true });
    return broken;
  }
}
