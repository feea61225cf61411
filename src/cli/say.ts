/** How commands write to a person or a script. Nothing that came from outside steers a terminal, whoever forgot to look. */
import { printableJson, printableLines } from "../error/printable.ts";

/** To standard output. Names in it have gone through `printable`, or they could end a line. */
export function say(text: string): void {
  console.log(printableLines(text));
}

/** To standard output, for scripts. */
export function sayJson(value: unknown): void {
  console.log(printableJson(value));
}

/** To standard error. */
export function warn(text: string): void {
  console.error(printableLines(text));
}
