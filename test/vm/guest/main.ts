// The program of the guest: Node runs it, bundled, once; and again as the plugin that a case calls as a process.
import { argv } from 'node:process';
import { VM_GROUPS } from '../groups.ts';
import { beGuest } from './be-guest.ts';
import { PLUGIN_MODE } from './cni-node.ts';
import { runAsPlugin } from './plugin-process.ts';

if (argv[2] === PLUGIN_MODE) void runAsPlugin();
else beGuest(VM_GROUPS);
