import { create, toBinary } from "@bufbuild/protobuf";
import { type DispatcherKey, dispatcherId } from "../barrier/dispatcherid.ts";
import { type Encoding, encode } from "../protocol/codec.ts";
import {
  BlockStatusRequestSchema,
  type ChangefeedID,
  type State,
  StateSchema,
  TableSpanBlockStatusSchema,
} from "../protocol/messages.ts";
import type { Clock } from "./ports.ts";

export interface ReporterOptions {
  readonly changefeed: ChangefeedID;
  readonly mode: bigint;
  readonly encoding: Encoding;
  readonly clock: Clock;
  /** How long reports are collected, in ms. */
  readonly foldMs: number;
  /** Largest body, in bytes. */
  readonly limit: number;
  /** Sends one message until the status queue has accepted it. */
  readonly send: (body: string) => Promise<void>;
}

interface Entry {
  readonly id: DispatcherKey;
  readonly life: bigint;
  readonly state: State;
  readonly accepted: PromiseWithResolvers<void>;
}

/** Dispatchers in one status: far below the message limit in either encoding. */
const LIVES_PER_STATUS = 2_000;

/** Folds what a node's dispatchers report within some ms into few messages (design.md, section 5). */
export class Reporter {
  readonly #options: ReporterOptions;
  #waiting: Entry[] = [];
  #scheduled = false;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /** Reports a state of a dispatcher. Resolves when the status queue has accepted it. */
  report(id: DispatcherKey, life: bigint, state: State): Promise<void> {
    const accepted = Promise.withResolvers<void>();
    this.#waiting.push({ id, life, state, accepted });
    if (!this.#scheduled) {
      this.#scheduled = true;
      this.#options.clock.after(this.#options.foldMs, () => this.#flush());
    }
    return accepted.promise;
  }

  #flush(): void {
    this.#scheduled = false;
    const entries = this.#waiting;
    this.#waiting = [];
    const groups = Map.groupBy(entries, ({ state }) =>
      Buffer.from(toBinary(StateSchema, state)).toString("base64"),
    );
    // Groups keep the order in which their first report came: a dispatcher's reports stay in order (protocol.md M1a).
    const statuses: Entry[][] = [];
    for (const group of groups.values())
      for (let from = 0; from < group.length; from += LIVES_PER_STATUS)
        statuses.push(group.slice(from, from + LIVES_PER_STATUS));
    this.#send(statuses);
  }

  #send(statuses: readonly Entry[][]): void {
    const { changefeed, mode, encoding, limit, send } = this.#options;
    const body = encode(
      "BlockStatusRequest",
      encoding,
      create(BlockStatusRequestSchema, {
        changefeedID: changefeed,
        mode,
        blockStatuses: statuses.map((entries) =>
          create(TableSpanBlockStatusSchema, {
            state: entries[0]!.state,
            mode,
            ...(entries.length === 1
              ? { ID: dispatcherId(entries[0]!.id), life: entries[0]!.life }
              : {
                  dispatcherIDs: entries.map((entry) => dispatcherId(entry.id)),
                  lives: entries.map((entry) => entry.life),
                }),
          }),
        ),
      }),
    );
    if (Buffer.byteLength(body) > limit && statuses.length > 1) {
      const half = statuses.length >> 1;
      this.#send(statuses.slice(0, half));
      this.#send(statuses.slice(half));
      return;
    }
    const entries = statuses.flat();
    send(body).then(
      () => {
        for (const entry of entries) entry.accepted.resolve();
      },
      (error) => {
        for (const entry of entries) entry.accepted.reject(error);
      },
    );
  }
}
