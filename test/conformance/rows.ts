// The whole table, in the order in which it is printed.
import type { Row } from './row.ts';
import { ADD_ROWS } from './rows/add.ts';
import { ADD_KERNEL_ROWS } from './rows/add-kernel.ts';
import { CHECK_ROWS } from './rows/check.ts';
import { CONFIG_ROWS } from './rows/config.ts';
import { DEL_ROWS } from './rows/del.ts';
import { DELEGATE_ROWS } from './rows/delegate.ts';
import { DELEGATE_ADD_ROWS } from './rows/delegate-add.ts';
import { ENVIRONMENT_ROWS } from './rows/environment.ts';
import { IPAM_ROWS } from './rows/ipam.ts';
import { LEASE_ROWS } from './rows/lease.ts';
import { STATUS_GC_ROWS } from './rows/status-gc.ts';
import { VERSION_ROWS } from './rows/version.ts';

export const ROWS: readonly Row[] = [
  ...VERSION_ROWS,
  ...ENVIRONMENT_ROWS,
  ...CONFIG_ROWS,
  ...ADD_ROWS,
  ...ADD_KERNEL_ROWS,
  ...DEL_ROWS,
  ...CHECK_ROWS,
  ...STATUS_GC_ROWS,
  ...DELEGATE_ADD_ROWS,
  ...DELEGATE_ROWS,
  ...IPAM_ROWS,
  ...LEASE_ROWS,
];
