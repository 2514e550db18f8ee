// Each case of the virtual machine by its name. They have run, or are running, in the guest: see run/global-setup.ts.
import { describe, inject, test } from 'vitest';
import { caseId } from './case.ts';
import { VM_GROUPS } from './groups.ts';
import { caseEnd } from './run/events.ts';

for (const group of VM_GROUPS) {
  describe(group.name, () => {
    test.each(group.cases)('$name', async (one) => {
      const { told } = await caseEnd(inject('vmRun'), caseId(group, one));
      for (const text of told) console.log(text);
    });
  });
}
