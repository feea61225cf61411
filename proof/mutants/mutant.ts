/** Deliberate faults in the rules. Each says which rule it breaks; something must notice (docs/proof.md). */
export interface Mutant {
  readonly id: string;
  /** The rule, and where it stands. */
  readonly rule: string;
  /** The file that it is in, from the root of the repository. */
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly from: string;
  readonly to: string;
  /** Files or folders of unit tests that are run before anything else: for rules that need no race to be broken. */
  readonly tests?: readonly string[];
}
