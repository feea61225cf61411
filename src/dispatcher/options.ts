import type { Encoding } from "../protocol/encoding.ts";
import type { ChangefeedId, Mode } from "./changefeed.ts";
import type { Dispatcher } from "./hosted.ts";
import type { Clock, QueueClient } from "./ports.ts";
import type { ScheduleRequest } from "./schedule.ts";

/**
 * What a capture node is made with.
 *
 * @example
 * ```ts
 * import { type CaptureNodeOptions, SqsQueues } from "@weir-cdc/weir";
 *
 * export const options: CaptureNodeOptions = {
 *   id: "n1",
 *   changefeed: { high: 1n, low: 2n, name: "orders", keyspace: "default" },
 *   statusQueueUrl: process.env["STATUS_QUEUE_URL"]!,
 *   actionQueuePrefix: process.env["ACTION_QUEUE_PREFIX"]!,
 *   queues: new SqsQueues(),
 *   onError: (error) => console.error(error),
 * };
 * ```
 */
export interface CaptureNodeOptions {
  /** Names the node; letters, digits, - and _. */
  readonly id: string;
  readonly changefeed: ChangefeedId;
  /** Default: `default`. */
  readonly mode?: Mode;
  /** Which life of the changefeed this is; a higher one starts empty (protocol.md R1). Default: 1. */
  readonly epoch?: bigint;
  readonly statusQueueUrl: string;
  readonly actionQueuePrefix: string;
  readonly queues: QueueClient;
  /**
   * Who may send to the node's queues, as the stack's output `CoordinatorIds` names them. A message of anybody else is deleted without
   * being obeyed, and told to `onError` as `UnknownSender`: what the coordinator has said it says again. Default: whoever may send there
   * by the queue's policy and the account's.
   */
  readonly coordinators?: readonly string[];
  readonly clock?: Clock;
  /** One queue for the node (default), or one for each dispatcher. */
  readonly layout?: "node" | "dispatcher";
  readonly encoding?: Encoding;
  /** How long reports are collected to go out together, in ms. Default: 10. */
  readonly foldMs?: number;
  /** Largest body of a message that holds several reports, in bytes. Default: 255 KiB, which leaves room for the attributes. */
  readonly messageLimit?: number;
  /**
   * About how often it tells how far its dispatchers are, in ms, if they are further. The coordinator creates a lost one again
   * from there. 0: never. Default: a minute.
   */
  readonly heartbeatMs?: number;
  /** Seconds that a poll waits for a message; SQS allows 20, which is the default. */
  readonly pollSeconds?: number;
  /**
   * After so many ms a request without an answer is given up, told to `onError`, and made anew; a poll after its waiting time more.
   * Default: 10,000.
   */
  readonly answerMs?: number;
  /** Numbers in [0, 1), so that nodes do not all do the same at the same moment. Default: `Math.random`. */
  readonly random?: () => number;
  /** Tables in one part of an opening. Default: 2,000, about 40 bytes each, far below the message limit. */
  readonly tablesPerPart?: number;
  /**
   * A registration says the event at which its dispatcher waits, if that lists no more than so many tables and changes. Of a larger
   * one the dispatcher reports that it waits once it is accepted, together with the others. Default: 64.
   */
  readonly registeredEntries?: number;
  /** The coordinator wants a dispatcher created or removed. The message comes again until this resolves. */
  readonly onSchedule?: (request: ScheduleRequest) => Promise<void>;
  /**
   * The changefeed is in this epoch, above the one that the node follows, so that nothing of the node counts: call `follow`, or stop.
   * Called once for each epoch. Default: it goes to `onError`.
   */
  readonly onHigherEpoch?: (epoch: bigint) => void;
  /** Something failed and is tried again. */
  readonly onError?: (error: unknown, dispatcher?: Dispatcher) => void;
}

/**
 * A schema with its tables, for the opening.
 *
 * @example
 * ```ts
 * import type { OpeningSchema } from "@weir-cdc/weir";
 *
 * export const shop: OpeningSchema = { schemaId: 3n, name: "shop", tables: [{ tableId: 100n, name: "orders" }] };
 * ```
 */
export interface OpeningSchema {
  readonly schemaId: bigint;
  readonly name: string;
  readonly tables: readonly { readonly tableId: bigint; readonly name: string }[];
}
