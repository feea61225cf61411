import { create } from "@bufbuild/protobuf";
import { type DispatcherID, DispatcherIDSchema } from "../protocol/messages.ts";
import type { DispatcherKey } from "./dispatcher-key.ts";

export { type DispatcherKey, dispatcherKey } from "./dispatcher-key.ts";

/** The inverse of `dispatcherKey`. */
export function dispatcherId(key: DispatcherKey): DispatcherID {
  return create(DispatcherIDSchema, {
    high: BigInt(`0x${key.slice(0, 16)}`),
    low: BigInt(`0x${key.slice(16)}`),
  });
}
