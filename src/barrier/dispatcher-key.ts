import { hexId } from "../protocol/hex-id.ts";

/** A dispatcher's 128-bit id as 32 lower-case hex digits: a map key, and what people see. */
export type DispatcherKey = string;

/**
 * The key of a dispatcher from the two halves of its id, 64 bits each, unsigned.
 *
 * @example
 * ```ts
 * import { dispatcherKey } from "@weir-cdc/weir";
 *
 * console.log(dispatcherKey({ high: 0n, low: 1n })); // 00000000000000000000000000000001
 * ```
 */
export function dispatcherKey(id: { readonly high: bigint; readonly low: bigint }): DispatcherKey {
  return hexId(id.high, id.low);
}
