// The versions of the CNI specification that we speak, and their order.

/** Oldest first. */
export const SUPPORTED_VERSIONS = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;

export type CniVersion = (typeof SUPPORTED_VERSIONS)[number];

export const NEWEST_VERSION: CniVersion = '1.1.0';

/** What a configuration speaks that has no cniVersion: the first specification had no such key. */
export const UNSTATED_VERSION: CniVersion = '0.1.0';

export function isSupported(version: string): version is CniVersion {
  return SUPPORTED_VERSIONS.some((known) => known === version);
}

/** True when `version` is `least` or newer. Both must be supported versions. */
export function isAtLeast(version: CniVersion, least: CniVersion): boolean {
  return SUPPORTED_VERSIONS.indexOf(version) >= SUPPORTED_VERSIONS.indexOf(least);
}

/** The newest of these that we speak, as section 1 of the specification asks for `cniVersions`. */
export function newestOf(versions: readonly string[]): CniVersion | undefined {
  return SUPPORTED_VERSIONS.findLast((known) => versions.includes(known));
}
