// Claims as a node's plugins do, from a process of its own: for each node and pod of its arguments one address.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { argv } from 'node:process';
import { claimRequestOf } from '../../ipam/claims.ts';
import { parseIpamConfig } from '../../ipam/config.ts';
import { kubeLeaseStore } from '../../ipam/kube-lease-store.ts';
import { formatAddress } from '../../pkg/ip/address.ts';
import { createKubeClient } from '../../pkg/kube/create-kube-client.ts';
import { readKubeconfig } from '../../pkg/kube/kubeconfig.ts';
import { openNodeStore } from '../../pkg/state/open-node-store.ts';

export interface ClaimOrder {
  readonly kubeconfig: string;
  readonly nodes: readonly string[];
  readonly podsEach: number;
  readonly range: string;
}

export interface ClaimAnswer {
  readonly node: string;
  readonly pod: string;
  readonly addresses: readonly string[];
}

async function claimAll({ kubeconfig, nodes, podsEach, range }: ClaimOrder): Promise<ClaimAnswer[]> {
  const client = createKubeClient(await readKubeconfig(kubeconfig));
  const directory = mkdtempSync(join(tmpdir(), 'manifold-claims-'));
  const config = parseIpamConfig({ name: 'rail0', ipam: { range } });
  try {
    const answers = nodes.map(async (node) => {
      const store = openNodeStore(join(directory, node));
      const leases = kubeLeaseStore({
        client,
        store,
        nodeName: node,
        kernel: { openIfThere: () => undefined },
      });
      const pods = Array.from({ length: podsEach }, async (_, index) => {
        const pod = `${node}-${index}`;
        const request = claimRequestOf(config, {
          ...{ network: 'rail0', containerId: `c-${pod}`, ifname: 'net1', netns: `/run/netns/none-${pod}` },
          args: { K8S_POD_NAMESPACE: 'burst', K8S_POD_NAME: pod, K8S_POD_UID: `uid-${pod}` },
        });
        const [grants = []] = await leases.claim([request], 'held');
        return { node, pod, addresses: grants.map(({ address }) => formatAddress(address)) };
      });
      return Promise.all(pods);
    });
    return (await Promise.all(answers)).flat();
  } finally {
    client.close();
    rmSync(directory, { recursive: true });
  }
}

console.log(JSON.stringify(await claimAll(JSON.parse(argv[2] ?? '{}') as ClaimOrder)));
