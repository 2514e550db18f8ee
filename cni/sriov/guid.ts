// GUIDs of an InfiniBand virtual function: eight bytes, "02:00:5e:00:00:00:53:01".
import * as v from 'valibot';

/** None is set: what a driver says of a fresh virtual function. */
export const NO_GUID = '00:00:00:00:00:00:00:00';
/** What takes a GUID away: drivers refuse zero. */
export const CLEARED_GUID = 'ff:ff:ff:ff:ff:ff:ff:ff';

/** A port with one of them reaches nobody. */
export const isUsableGuid = (guid: string): boolean => guid !== NO_GUID && guid !== CLEARED_GUID;

export const guidSchema = v.pipe(
  v.string('must be a string'),
  v.transform((text) => text.toLowerCase()),
  v.check(
    (text) => /^[0-9a-f]{2}(:[0-9a-f]{2}){7}$/.test(text) && isUsableGuid(text),
    'must be a GUID of 8 bytes such as 02:00:5e:00:00:00:53:01, not all zero and not all ff',
  ),
);

/** The MAC of an IPoIB interface is QPN and GID: its last eight bytes are the port's GUID (RFC 4391 section 9.1.1). */
export const guidOfMac = (mac: string | undefined): string | undefined =>
  mac?.length === 59 ? mac.slice(-23) : undefined;

/** Whether it is what it was, or cleared because it was none. */
export const isGuidBack = (was: string, now: string | undefined): boolean =>
  now === was || (was === NO_GUID && now === CLEARED_GUID);
