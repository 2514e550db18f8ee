// The program of the virtual machine when it is there to measure.
import { beGuest } from '../../vm/guest/be-guest.ts';
import { VM_BENCH } from './cases.ts';

beGuest([VM_BENCH]);
