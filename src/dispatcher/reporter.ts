import { create, toBinary } from "@bufbuild/protobuf";
import { type DispatcherKey, dispatcherId } from "../barrier/dispatcher-id.ts";
import type { Encoding } from "../protocol/codec.ts";
import {
  type BlockStatusRequest,
  BlockStatusRequestSchema,
  type ChangefeedID,
  type State,
  StateSchema,
  TableSpanBlockStatusSchema,
} from "../protocol/messages.ts";
import type { Clock } from "./ports.ts";
import type { Body } from "./status-queue.ts";
import { toFit } from "./to-fit.ts";

export interface ReporterOptions {
  readonly changefeed: ChangefeedID;
  readonly mode: bigint;
  readonly encoding: Encoding;
  readonly clock: Clock;
  /** How long reports are collected, in ms. */
  readonly foldMs: number;
  /** Largest body that holds several reports, in bytes. */
  readonly limit: number;
  /** Sends one message until the status queue has accepted it. */
  readonly send: (body: Body) => Promise<void>;
}

interface Entry {
  readonly id: DispatcherKey;
  readonly life: bigint;
  readonly state: State;
  readonly accepted: PromiseWithResolvers<void>;
}

/** Dispatchers in one status: far below the message limit in either encoding. */
const LIVES_PER_STATUS = 2_000;

/** Folds what a node's dispatchers report within some ms into few messages (invariants.md Q2). */
export class Reporter {
  readonly #options: ReporterOptions;
  #waiting: Entry[] = [];
  #scheduled = false;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /**
   * Reports a state of a dispatcher, which does not change any more. Resolves when the status queue has accepted it.
   * @throws MessageRefused if no queue takes so large a message
   */
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
    // Dispatchers that stand at one event share its state: it is looked into once.
    const texts = new Map<State, string>();
    const textOf = (state: State) => {
      let text = texts.get(state);
      if (text === undefined) {
        text = Buffer.from(toBinary(StateSchema, state)).toString("base64");
        texts.set(state, text);
      }
      return text;
    };
    const groups = Map.groupBy(entries, ({ state }) => textOf(state));
    // Groups keep the order in which their first report came: a dispatcher's reports stay in order (protocol.md M1a).
    const statuses: Entry[][] = [];
    for (const group of groups.values())
      for (let from = 0; from < group.length; from += LIVES_PER_STATUS)
        statuses.push(group.slice(from, from + LIVES_PER_STATUS));
    const { encoding, limit } = this.#options;
    const about = { type: "BlockStatusRequest", encoding, limit } as const;
    for (const { items, body } of toFit(about, statuses, (part) => this.#request(part)))
      void this.#send(items.flat(), body);
  }

  async #send(entries: readonly Entry[], body: () => Body): Promise<void> {
    try {
      await this.#options.send(body());
      for (const { accepted } of entries) accepted.resolve();
    } catch (error) {
      for (const { accepted } of entries) accepted.reject(error);
    }
  }

  #request(statuses: readonly Entry[][]): BlockStatusRequest {
    const { changefeed, mode } = this.#options;
    return create(BlockStatusRequestSchema, {
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
    });
  }
}
