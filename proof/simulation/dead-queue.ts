import { STATUS_QUEUE } from "./fixed.ts";

import { isOldName } from "./old-names.ts";
import type { Ground } from "./process.ts";
import type { Queues, Stored } from "./queues.ts";

/** Who brings dead letters back: the deployment names it (decisions/0016). */
export const REDRIVER = "operator";

/** Whether a message was refused that an operator had brought back without the name of its first sender. */
export function isUnmended({ attributes }: Pick<Letter, "attributes">): boolean {
  return attributes["sender"] === REDRIVER;
}

type Letter = Pick<Stored, "body" | "attributes" | "principal" | "timestamp">;

/**
 * The dead-letter queue, and an operator who brings back what is in it (docs/operations.md): with its first sender's name; as it
 * is, which is refused, and then mended; and a copy of it once more, weeks later.
 */
export class DeadQueue {
  readonly #ground: Ground;
  readonly #queues: Queues;
  /** What has not had its effect yet. */
  readonly #letters = new Set<Letter>();
  /** Whatever was here, by its body: a copy of it may be here too. */
  readonly #known = new Map<string, Letter>();
  readonly #copies: Letter[] = [];

  constructor(ground: Ground, queues: Queues) {
    this.#ground = ground;
    this.#queues = queues;
  }

  /** Whether something is here that has not had its effect. */
  get holds(): boolean {
    return this.#letters.size > 0;
  }

  /** The queue has moved a message here: it was received too often. */
  bury(letter: Letter): void {
    const { timeline, dice } = this.#ground;
    this.#letters.add(letter);
    this.#known.set(letter.body, letter);
    if (dice.chance(0.5)) this.#copies.push(letter);
    const mended = dice.chance(0.7);
    timeline.after(dice.between(1_000, 60_000), () => {
      if (mended) this.#redrive(letter);
      else {
        this.#letters.delete(letter);
        this.#queues.put(STATUS_QUEUE, letter.body, letter.attributes, REDRIVER);
      }
    });
  }

  /** A message was refused. @returns whether it is one that was brought back as it was: the operator mends it */
  refused({ body, attributes }: Pick<Letter, "body" | "attributes">): boolean {
    const letter = this.#known.get(body);
    if (letter === undefined || !isUnmended({ attributes })) return false;
    this.#letters.add(letter);
    this.#ground.timeline.after(this.#ground.dice.between(1_000, 20_000), () => this.#redrive(letter));
    return true;
  }

  /** Of what was brought back, some comes once more, however late. */
  redriveCopies(): void {
    for (const letter of this.#copies.splice(0)) this.#redrive(letter);
  }

  #redrive(letter: Letter): void {
    const { body, attributes, principal, timestamp } = letter;
    this.#letters.delete(letter);
    const sender = attributes["sender"] ?? principal;
    // Of an old node it counts when a message was sent first (decisions/0016).
    const old = isOldName(attributes["from"] ?? "") && { sentAt: String(timestamp) };
    this.#queues.put(STATUS_QUEUE, body, { ...attributes, sender, ...old }, REDRIVER);
  }
}
