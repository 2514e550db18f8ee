// An IPAM plugin that the harness makes: a shell script that writes down each call and answers as it is told.
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Json, JsonObject } from './json.ts';
import { isAtLeast } from './spec-versions.ts';
import type { Verb } from './world.ts';

const RECORDER_TYPE = 'conformance-recorder';
/** What it writes on stderr at each call. */
export const RECORDER_STDERR = 'conformance-recorder was here';
/** The code and message of the error that it is told to report. */
export const RECORDER_CODE = 111;
export const RECORDER_MSG = 'told to fail by the conformance harness';

const SCRIPT = `#!/bin/sh
cd '@DIR@' || exit 1
echo '${RECORDER_STDERR}' >&2
id="$CNI_COMMAND.$$"
cat > "$id.stdin"
env | grep '^CNI_' > "$id.env"
echo "$id" >> calls
if [ -f "fail.$CNI_COMMAND" ]; then
  echo '{"cniVersion":"1.0.0","code":${RECORDER_CODE},"msg":"${RECORDER_MSG}"}'
  exit 1
fi
case $CNI_COMMAND in
ADD) cat result ;;
VERSION) echo '{"cniVersion":"1.1.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}' ;;
esac
`;

export interface RecordedCall {
  readonly verb: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: Json;
}

export class Recorder {
  /** The directory for CNI_PATH. */
  readonly directory: string;
  readonly #notes: string;

  private constructor(directory: string, notes: string) {
    this.directory = directory;
    this.#notes = notes;
  }

  static async make(parent: string, cniVersion: string): Promise<Recorder> {
    const [directory, notes] = [join(parent, 'bin'), join(parent, 'recorded')];
    await Promise.all([mkdir(directory), mkdir(notes)]);
    await writeFile(join(directory, RECORDER_TYPE), SCRIPT.replace('@DIR@', notes));
    await chmod(join(directory, RECORDER_TYPE), 0o755);
    const recorder = new Recorder(directory, notes);
    await recorder.answer(simpleResult(cniVersion));
    return recorder;
  }

  /** The configuration with this plugin in the place of its IPAM plugin. */
  conf(base: JsonObject): JsonObject {
    return { ...base, ipam: { type: RECORDER_TYPE, mark: 'kept as it is' } };
  }

  async answer(result: JsonObject): Promise<void> {
    await writeFile(join(this.#notes, 'result'), JSON.stringify(result));
  }

  async failOn(verb: Verb): Promise<void> {
    await writeFile(join(this.#notes, `fail.${verb}`), '');
  }

  /** Fails no more. */
  async recover(): Promise<void> {
    const told = (await readdir(this.#notes)).filter((name) => name.startsWith('fail.'));
    await Promise.all(told.map((name) => rm(join(this.#notes, name))));
  }

  /** The calls so far, in order; of one verb where it is given. */
  async calls(verb?: Verb): Promise<readonly RecordedCall[]> {
    const ids = (await this.#read('calls')).split('\n').filter((id) => id !== '');
    const calls = await Promise.all(ids.map((id) => this.#call(id)));
    return calls.filter((call) => verb === undefined || call.verb === verb);
  }

  async #call(id: string): Promise<RecordedCall> {
    const [stdin, env] = await Promise.all([this.#read(`${id}.stdin`), this.#read(`${id}.env`)]);
    const pairs = env
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]);
    return { verb: id.split('.')[0] ?? '', env: Object.fromEntries(pairs), stdin: parseOr(stdin) };
  }

  async #read(name: string): Promise<string> {
    try {
      return await readFile(join(this.#notes, name), 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
      throw error;
    }
  }
}

/** What is no JSON is kept as text: a row compares it and shows it. */
function parseOr(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    if (error instanceof SyntaxError) return text;
    throw error;
  }
}

/** An IPAM result of one IPv4 address, in the form of that version. */
export function simpleResult(cniVersion: string, change: JsonObject = {}): JsonObject {
  const ip = { address: '10.87.0.5/24', gateway: '10.87.0.1' };
  const ips = [isAtLeast(cniVersion, '1.0.0') ? ip : { ...ip, version: '4' }];
  return { cniVersion, ips, ...change };
}
