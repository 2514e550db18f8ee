// The guest's program with the cases that go wrong.
import { beGuest } from '../guest/be-guest.ts';
import { FAULT_GROUPS } from './groups.ts';

beGuest(FAULT_GROUPS);
