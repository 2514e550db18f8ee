// A record may outlive the boot that it is of, the state of a device does not.
import { bootId } from '../state/writer.ts';
import type { Retract } from './retract.ts';

/** Nothing is put back for a record of an earlier boot: the device is what this boot has made of it, or is not there. */
export function ofThisBoot(retract: Retract): Retract {
  return (target) => {
    const { record, ifname, log } = target;
    if (record === undefined || record.writer.bootId === bootId()) return retract(target);
    log.info('nothing to put back: the machine was booted since', { ifname, device: record.device ?? '' });
    return [];
  };
}
