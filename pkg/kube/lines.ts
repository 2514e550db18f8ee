// Whole lines out of a stream of bytes: what has no newline at its end was cut off, and is not given.

/** Told when a chunk is waited for, and when one has come. */
export interface Attention {
  waiting(): void;
  working(): void;
}

export async function* linesOf(
  chunks: AsyncIterable<Uint8Array>,
  attention: Attention,
): AsyncGenerator<string, void, undefined> {
  let rest: Uint8Array[] = [];
  attention.waiting();
  for await (const chunk of chunks) {
    attention.working();
    let at = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, at)) {
      rest.push(chunk.subarray(at, end));
      // Decoded whole: a character may lie across two chunks.
      const line = Buffer.concat(rest).toString('utf8');
      rest = [];
      at = end + 1;
      if (line !== '') yield line;
    }
    if (at < chunk.length) rest.push(chunk.subarray(at));
    attention.waiting();
  }
  attention.working();
}
