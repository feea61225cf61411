/** What has one name in every world. */
import { dispatcherKey } from "../../src/barrier/dispatcher-id.ts";

export const STATUS_QUEUE = "status";
export const ACTION_PREFIX = "weir-action-";
/** The functions' principal. */
export const ROLE = "function";
export const TRIGGER_ID = dispatcherKey({ high: 0n, low: 1n });
