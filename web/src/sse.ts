// SPDX-License-Identifier: MIT
// Server-sent events of a stream of bytes, however it is cut. Knows nothing of what they say.

const lineMax = 16 << 20; // characters: no event of ours comes near

// Yields the data of each event. An event that the stream's end cuts short is none.
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let data: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
      // A CR at the end may be the first half of CR LF.
      const lines = rest.split(done ? /\r\n|\n|\r/ : /\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line === "") {
          if (data.length > 0) yield data.join("\n");
          data = [];
        } else if (line.startsWith("data:")) {
          data.push(line.slice(line.startsWith("data: ") ? 6 : 5));
        }
      }
      if (done) return;
      if (rest.length > lineMax) throw new Error("a line of the response is too long");
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
