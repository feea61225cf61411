import { MalformedMessage } from "../../protocol/codec.ts";
import { MAX_SPACE, parseSpace, type Space } from "./space.ts";

/** Lives in one slice: ten of them, which one invocation may get, are sent in a second or two. */
export const SLICE_LIVES = 100;

/** The type of a message that hands a slice over to another invocation. It never leaves the status queue. */
export const SLICE_TYPE = "Slice";

/**
 * Some lives of one roster chunk who are to be told where they stand at a barrier. It says whom to look at and not what to
 * tell: that follows from the state, so whoever sends one brings about nothing that is not due (protocol.md M22).
 */
export interface Slice {
  readonly space: Space;
  readonly epoch: bigint;
  /** `keyText`. */
  readonly key: string;
  readonly kind: "ack" | "pass";
  readonly chunk: number;
  /** Slots `from` to `from + SLICE_LIVES - 1`. */
  readonly from: number;
  /** It is of the first wave: nobody can have answered before it was sent. */
  readonly first: boolean;
}

/** A slice as the body of a message. */
export function sliceText({ space, epoch, ...others }: Slice): string {
  return JSON.stringify({ space: space.text, epoch: epoch.toString(), ...others });
}

/**
 * The inverse of `sliceText`.
 * @throws MalformedMessage if it is not one
 */
export function parseSlice(body: string): Slice {
  let read: unknown;
  try {
    read = JSON.parse(body);
  } catch {
    read = undefined;
  }
  if (typeof read !== "object" || read === null) throw malformed("it is no JSON object");
  const { space, epoch, key, kind, chunk, from, first } = read as Record<string, unknown>;
  if (typeof space !== "string" || !/^[^/]*\/[^/]*\/[0-9a-f]{32}\/[01]$/.test(space) || !isEncoded(space))
    throw malformed("space");
  if (space.length > MAX_SPACE) throw malformed(`space is ${space.length} bytes long`);
  if (typeof epoch !== "string" || !/^\d{1,20}$/.test(epoch)) throw malformed("epoch");
  if (typeof key !== "string" || !/^\d{20}-[01]$/.test(key)) throw malformed("key");
  if (kind !== "ack" && kind !== "pass") throw malformed("kind");
  if (!isCount(chunk)) throw malformed("chunk");
  if (!isCount(from)) throw malformed("from");
  if (typeof first !== "boolean") throw malformed("first");
  return { space: parseSpace(space), epoch: BigInt(epoch), key, kind, chunk, from, first };
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** A percent sign that encodes nothing cannot be taken apart. */
function isEncoded(text: string): boolean {
  try {
    return decodeURIComponent(text) !== undefined;
  } catch {
    return false;
  }
}

function malformed(what: string): MalformedMessage {
  return new MalformedMessage(
    `body is not a ${SLICE_TYPE}: ${what}; only the coordinator sends messages of this type`,
  );
}
