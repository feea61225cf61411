import type { Kept } from "../../maintainer/base/port.ts";
import { B, bytes, type Item, integer, long, N, S, text } from "./values.ts";

/** A kept message as an item, without its keys and its TTL. */
export function keptItem(kept: Kept): Item {
  return {
    type: S(kept.type),
    // In its binary form: base64 would take a third more of the 400 KB that an item may have.
    ...(kept.body !== "" && { body: B(Buffer.from(kept.body, "base64")) }),
    node: S(kept.node),
    start: N(kept.start),
    principal: S(kept.principal),
    sentAt: N(kept.sentAt),
  };
}

export function keptFrom(item: Item): Kept {
  return {
    id: text(item["sk"]),
    type: text(item["type"]) as Kept["type"],
    body: Buffer.from(bytes(item["body"])).toString("base64"),
    node: text(item["node"]),
    start: long(item["start"]),
    principal: text(item["principal"]),
    sentAt: integer(item["sentAt"]),
  };
}
