// For --import: the program's clock is off by MANIFOLD_TEST_CLOCK_MS. A mock for what cannot be caused here: the clock of
// a machine belongs to all its programs (Linux has no namespace for CLOCK_REALTIME). TLS goes by the right time.
import { env } from 'node:process';

const offMs = Number(env.MANIFOLD_TEST_CLOCK_MS ?? 0);
const RightDate = globalThis.Date;

globalThis.Date = class extends RightDate {
  constructor(...parts) {
    super(...(parts.length === 0 ? [RightDate.now() + offMs] : parts));
  }

  static now() {
    return RightDate.now() + offMs;
  }
};
