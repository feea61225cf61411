import { create } from "@bufbuild/protobuf";
import { hexId } from "../protocol/hex-id.ts";
import { type DispatcherID, DispatcherIDSchema } from "../protocol/messages.ts";

/** A dispatcher's 128-bit id as 32 lower-case hex digits: a map key, and what people see. */
export type DispatcherKey = string;

export function dispatcherKey(id: { readonly high: bigint; readonly low: bigint }): DispatcherKey {
  return hexId(id.high, id.low);
}

/** The inverse of `dispatcherKey`. */
export function dispatcherId(key: DispatcherKey): DispatcherID {
  return create(DispatcherIDSchema, {
    high: BigInt(`0x${key.slice(0, 16)}`),
    low: BigInt(`0x${key.slice(16)}`),
  });
}
