// The GID table of an RDMA port as sysfs shows it: by which of the node's addresses RDMA goes out.
import { list, readText } from './files.ts';

export interface RdmaGid {
  /** What NCCL_IB_GID_INDEX and ibv_devinfo count by. */
  readonly index: number;
  /** "fe80:0000:0000:0000:0200:5eff:fe00:5301"; of IPv4 "0000:…:ffff:c000:0201". */
  readonly gid: string;
  /** "IB/RoCE v1", "RoCE v2". */
  readonly type: string | undefined;
  /** The interface that the GID is of; undefined for InfiniBand, and for another namespace's. */
  readonly netdev: string | undefined;
}

const EMPTY = /^[0:]+$/;

/** @param directory of the port: infiniband/mlx5_0/ports/1 @returns without the slots that are empty */
export function readGids(directory: string): RdmaGid[] {
  return list(`${directory}/gids`)
    .map(Number)
    .sort((a, b) => a - b)
    .flatMap((index) => {
      const gid = readText(`${directory}/gids/${index}`);
      if (gid === undefined || EMPTY.test(gid)) return [];
      const of = (what: string) => readText(`${directory}/gid_attrs/${what}/${index}`);
      return [{ index, gid, type: of('types'), netdev: of('ndevs') }];
    });
}
