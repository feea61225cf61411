/** How commands write to a person or a script. Nothing that came from outside steers a terminal, whoever forgot to look. */
import { styleText } from "node:util";
import { printableJson, printableLines } from "../error/printable.ts";

export type Colour = "red" | "yellow" | "green";

/**
 * To standard output. Names in it have gone through `printable`, or they could end a line.
 * @param colour on a terminal only, and not with NO_COLOR
 */
export function say(text: string, colour?: Colour): void {
  const shown = printableLines(text);
  console.log(colour ? styleText(colour, shown, { stream: process.stdout }) : shown);
}

/** To standard output, for scripts. */
export function sayJson(value: unknown): void {
  console.log(printableJson(value));
}

/** To standard error. */
export function warn(text: string): void {
  console.error(printableLines(text));
}
