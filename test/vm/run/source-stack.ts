// Places in the bundle, as the guest's errors name them, turned into places in the sources.
import { SourceMap } from 'node:module';
import { join } from 'node:path';
import { SHARES } from '../machine/init.ts';
import { BUNDLE_FILE, type GuestEvent } from '../protocol.ts';

const PLACE = new RegExp(`${SHARES.host}/${BUNDLE_FILE}:(\\d+):(\\d+)`, 'g');

/** @param map what bundleCases returned; its sources are relative to `base` */
export function sourceStack(event: GuestEvent, map: string, base: string): GuestEvent {
  if (!('failure' in event) || event.failure === undefined) return event;
  const sources = new SourceMap(JSON.parse(map));
  const stack = event.failure.stack.replaceAll(PLACE, (place, line, column) => {
    const entry = sources.findEntry(Number(line) - 1, Number(column) - 1);
    if (!('originalSource' in entry)) return place;
    return `${join(base, entry.originalSource)}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
  });
  return { ...event, failure: { ...event.failure, stack } };
}
