import { create } from "@bufbuild/protobuf";
import { type ChangefeedID, ChangefeedIDSchema } from "../../protocol/messages.ts";

/** Bytes of a space as text: it is part of keys, of which DynamoDB takes 2,048 and 1,024. */
export const MAX_SPACE = 900;

/** A barrier space: one changefeed in one mode (0 default, 1 redo; protocol.md M17). Modes share nothing. */
export interface Space {
  readonly changefeed: Pick<ChangefeedID, "high" | "low" | "name" | "keyspace">;
  readonly mode: bigint;
  /** The space as text: what items are stored under. */
  readonly text: string;
}

export function spaceOf(changefeed: Space["changefeed"], mode: bigint): Space {
  const { high, low, name, keyspace } = changefeed;
  const id = high.toString(16).padStart(16, "0") + low.toString(16).padStart(16, "0");
  const text = [keyspace, name, id, mode.toString()].map(encodeURIComponent).join("/");
  return { changefeed: { high, low, name, keyspace }, mode, text };
}

/** The inverse of `Space.text`. */
export function parseSpace(text: string): Space {
  const [keyspace = "", name = "", id = "", mode = "0"] = text.split("/").map(decodeURIComponent);
  const high = BigInt(`0x${id.slice(0, 16)}`);
  const low = BigInt(`0x${id.slice(16)}`);
  return { changefeed: { high, low, name, keyspace }, mode: BigInt(mode), text };
}

export function changefeedMessage(space: Space): ChangefeedID {
  return create(ChangefeedIDSchema, space.changefeed);
}
