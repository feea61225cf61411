import { createReadStream } from "node:fs";
import { BadChangeLog } from "./problem.ts";

/** The longest line that is read, in characters: a row of MySQL has at most 64 MB. */
const LONGEST = 256 * 1024 * 1024;

/**
 * Lines of a file in UTF-8, with or without a byte order mark, separated by LF or CRLF and by nothing else: other line ends may
 * stand inside of JSON's strings.
 * @throws BadChangeLog if it cannot be read, or is no UTF-8
 */
export async function* readLines(file: string): AsyncGenerator<{ line: number; text: string }> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let line = 1;
  let rest = "";
  const decode = (chunk?: Buffer) => {
    try {
      return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode();
    } catch {
      throw new BadChangeLog(
        { file, line },
        "this is no UTF-8, here or a little behind: write the log in UTF-8",
      );
    }
  };
  try {
    for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
      const parts = decode(chunk).split("\n");
      parts[0] = rest + parts[0]!;
      rest = parts.pop()!;
      for (const text of parts) yield { line: line++, text };
      if (rest.length > LONGEST)
        throw new BadChangeLog({ file, line }, "the line is too long: one change stands in one line");
    }
  } catch (error) {
    if (error instanceof BadChangeLog || (error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new BadChangeLog({ file, line: 0 }, whyUnreadable(error as NodeJS.ErrnoException));
  }
  rest += decode();
  if (rest !== "") yield { line, text: rest };
}

function whyUnreadable(error: NodeJS.ErrnoException): string {
  if (error.code === "ENOENT") return "there is no such file: name a change log in Canal-JSON";
  if (error.code === "EISDIR") return "this is a directory: name a change log in Canal-JSON";
  return `the file cannot be read: ${error.message}`;
}
