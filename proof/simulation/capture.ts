import type { DispatcherConfig } from "../../src/dispatcher/config.ts";
import type { CaptureEvent } from "../../src/dispatcher/event.ts";
import type { Dispatcher, Standing } from "../../src/dispatcher/hosted.ts";
import type { CaptureNode } from "../../src/dispatcher/node.ts";
import type { StoragePayload, StorageRow } from "../../src/dispatcher/storage-sink.ts";

/** A dispatcher as its stream sees it, of whatever kind its node is. */
export type Streamed = Pick<
  Dispatcher,
  "config" | "life" | "finishedTs" | "checkpointCap" | "outstanding" | "write" | "handle" | "flush"
> & {
  /** Where it stands. Strangers answer only who is `waiting`: an old node does not look at whose an answer is. */
  readonly blockedAt:
    | { readonly event: CaptureEvent; readonly stage: Standing["stage"] | "at an old node" }
    | undefined;
};

/** A node as the scheduler sees it: the runtime that ships, or an old one. */
export interface Capture {
  readonly start: CaptureNode["start"];
  readonly open: CaptureNode["open"];
  readonly follow: CaptureNode["follow"];
  createDispatcher(config: DispatcherConfig<StorageRow, StoragePayload>): Promise<Streamed>;
  removeDispatcher(id: string): Promise<void>;
  setState(dispatcher: Streamed, ...how: Tail<Parameters<CaptureNode["setState"]>>): Promise<void>;
}

type Tail<All extends readonly unknown[]> = All extends readonly [unknown, ...infer Rest] ? Rest : never;
