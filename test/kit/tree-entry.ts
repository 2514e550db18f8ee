// The sriov plugin on a sysfs made for a test: its path is the first argument. What is shipped knows only /sys.
import { argv } from 'node:process';
import { createSriov } from '../../cni/sriov/plugin.ts';
import { ipamInside } from '../../meta/bin/ipam-inside.ts';
import { start } from '../../meta/bin/start.ts';
import { createSysfs } from '../../pkg/pci/sysfs.ts';

const sysfs = createSysfs(argv[2]);
void start('sriov', (deps) => [createSriov({ ...deps, sysfs }), ...ipamInside(deps)]);
