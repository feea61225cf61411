import { create } from "@bufbuild/protobuf";
import { type DispatcherID, DispatcherIDSchema } from "../protocol/messages.ts";

/** A dispatcher's 128-bit id as 32 lower-case hex digits: a map key, and what people see. */
export type DispatcherKey = string;

export function dispatcherKey(id: Pick<DispatcherID, "high" | "low">): DispatcherKey {
  return id.high.toString(16).padStart(16, "0") + id.low.toString(16).padStart(16, "0");
}

/** The inverse of `dispatcherKey`. */
export function dispatcherId(key: DispatcherKey): DispatcherID {
  return create(DispatcherIDSchema, {
    high: BigInt(`0x${key.slice(0, 16)}`),
    low: BigInt(`0x${key.slice(16)}`),
  });
}
