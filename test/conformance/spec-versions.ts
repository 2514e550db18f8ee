// The versions of the specification that this harness knows, oldest first.

export const SPEC_VERSIONS = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
export type SpecVersion = (typeof SPEC_VERSIONS)[number];

/** True when `version` is `floor` or newer; both are x.y.z. */
export function isAtLeast(version: string, floor: SpecVersion): boolean {
  const [a, b] = [version, floor].map((text) => text.split('.').map(Number));
  for (let index = 0; index < 3; index++) {
    const difference = (a?.[index] ?? 0) - (b?.[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/** The newest version that both the plugin and this harness know. */
export function newestOf(supported: readonly string[]): SpecVersion | undefined {
  return SPEC_VERSIONS.findLast((version) => supported.includes(version));
}
