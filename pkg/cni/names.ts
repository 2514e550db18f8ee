// The grammar of the names that come from a runtime or a configuration, some of which become parts of a path.

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;

/** What is wrong with a container ID or a network name, as the end of a sentence; undefined when it is good. */
export function faultOfName(name: string): string | undefined {
  if (NAME.test(name)) return undefined;
  return 'it must begin with a letter or digit and have only letters, digits, "_", "." and "-"';
}

/** What is wrong with the name of an interface; undefined when it is good. */
export function faultOfIfname(name: string): string | undefined {
  if (name === '') return 'it must not be empty';
  // IFNAMSIZ is 16 with its closing zero byte, and counts bytes.
  if (Buffer.byteLength(name) > 15) return 'it must be at most 15 bytes long';
  if (name === '.' || name === '..') return 'it must not be "." or ".."';
  if (/[/:\s\0]/.test(name)) return 'it must not contain "/", ":" or white space';
  // The kernel takes "eth%d" as a pattern and gives the link another name than the one asked for.
  if (name.includes('%')) return 'it must not contain "%"';
  // Under these two names /proc/sys/net has what holds for every interface: the kernel gives them to none.
  if (name === 'all' || name === 'default') return 'it must not be "all" or "default"';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal would obey them
  if (/[\u0000-\u001f\u007f]/.test(name)) return 'it must not contain control characters';
  return undefined;
}

/** What is wrong with the `type` of a plugin: it is joined to each directory of CNI_PATH. */
export function faultOfType(type: string): string | undefined {
  if (type === '') return 'it must not be empty';
  if (type === '.' || type === '..' || /[/\\\0]/.test(type)) return 'it must be a bare file name';
  if (Buffer.byteLength(type) > 255) return 'it must be at most 255 bytes long';
  return undefined;
}
