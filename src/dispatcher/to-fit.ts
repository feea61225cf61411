import { MAX_MESSAGE_BYTES } from "../messaging/limits.ts";
import { type Encoding, encode, type MessageOf, type MessageType } from "../protocol/codec.ts";
import { MessageRefused } from "./errors.ts";
import type { Body } from "./status-queue.ts";

/** What attributes take of a message, at most. */
const ATTRIBUTE_BYTES = 1_024;
/** The largest body that any queue takes. */
export const MAX_BODY_BYTES = MAX_MESSAGE_BYTES - ATTRIBUTE_BYTES;

export interface Part<Item> {
  readonly items: readonly Item[];
  /** @throws MessageRefused if a single item is larger than any queue takes */
  readonly body: () => Body;
}

/**
 * Items in as few messages as fit. One that does not fit by itself cannot be split: an event has its lists whole. It goes as
 * protobuf, which is a third of the size, up to what a queue takes.
 * @param limit bytes of a body that holds several
 */
export function toFit<Item, Type extends MessageType>(
  about: { readonly type: Type; readonly encoding: Encoding; readonly limit: number },
  items: readonly Item[],
  build: (items: readonly Item[]) => MessageOf<Type>,
): Part<Item>[] {
  const { type, encoding, limit } = about;
  const message = build(items);
  const body = encode(type, encoding, message);
  const bytes = Buffer.byteLength(body);
  if (bytes <= limit) return [{ items, body: () => ({ body, encoding }) }];
  if (items.length > 1) {
    const half = items.length >> 1;
    return [...toFit(about, items.slice(0, half), build), ...toFit(about, items.slice(half), build)];
  }
  const dense = encode(type, "protobuf", message);
  return [
    {
      items,
      body: () => {
        if (dense.length <= MAX_BODY_BYTES) return { body: dense, encoding: "protobuf" };
        throw new MessageRefused(
          `a ${type} is ${dense.length} bytes long, and a queue takes ${MAX_BODY_BYTES}: it cannot be split`,
        );
      },
    },
  ];
}
