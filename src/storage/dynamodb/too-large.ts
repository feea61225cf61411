import { WeirError } from "../../error/weir-error.ts";
import { ITEM_BYTES } from "../../maintainer/base/bounds.ts";
import type { Key } from "./keys.ts";

export { ITEM_BYTES as MAX_ITEM_BYTES };

/** An item over 400 KB: the one error that no repetition mends. The message says which item, and what to do. */
export class ItemTooLarge extends WeirError {
  override readonly name = "ItemTooLarge";

  constructor(message: string, options?: ErrorOptions) {
    super("item-too-large", message, options);
  }
}

/** The error, or a better one if it says that an item is too large. */
export function explain(error: unknown, key: Key): unknown {
  if (!(error instanceof Error) || !/item size.*exceeded/i.test(error.message)) return error;
  return tooLarge(key, error);
}

/** The error for an item that is too large. */
export function tooLarge(key: Key, cause?: Error): ItemTooLarge {
  const message = `item ${key.pk} ${key.sk} is larger than DynamoDB allows (400 KB): ${advice(key)}`;
  return new ItemTooLarge(message, { cause });
}

function advice({ pk, sk }: Key): string {
  if (sk === "ROOT")
    return "too many barriers are open at once, or the changefeed has too many dispatchers; split the changefeed";
  if (sk === "CHUNK") return "keys or names of its dispatchers are too long; use shorter queue names";
  if (sk.startsWith("B#")) return "its event lists too many tables; report it with influence DB or All";
  if (pk.endsWith("#KEPT")) return "the message names too many dispatchers; send it in several messages";
  return "too many lives of one roster chunk reported for one barrier";
}
