import { WeirError } from "../error/weir-error.ts";

/** Something that the person at the keyboard can put right: shown without a stack. */
export class Problem extends WeirError {
  override readonly name = "Problem";
  /** 2 for bad input, 1 for everything else. */
  readonly exitCode: number;

  constructor(message: string, exitCode = 2) {
    super("bad-input", message);
    this.exitCode = exitCode;
  }
}

/** Reads a whole number within bounds from an option. */
export function wholeNumber(option: string, least: number, most: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most)
      throw new Problem(`${option} is "${text}": use a whole number from ${least} to ${most}`);
    return value;
  };
}
