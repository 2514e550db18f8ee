// The versions over which every plugin is tested.
export const VERSIONS = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
export const CHECK_VERSIONS = ['0.4.0', '1.0.0', '1.1.0'] as const;
