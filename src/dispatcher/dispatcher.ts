import type { DispatcherKey } from "../barrier/dispatcherid.ts";
import { compareKeys, type EventKey } from "../protocol/eventkey.ts";
import { BlockStage, DoneAction, InfluenceType, type State } from "../protocol/messages.ts";
import { type CaptureEvent, copyOf, doneState, reportState } from "./event.ts";
import { type ActionKind, type Command, DispatcherMachine, REPEAT_MS } from "./machine.ts";
import type { Clock } from "./ports.ts";
import type { Reporter } from "./reporter.ts";
import type { Sink } from "./sink.ts";

/** Where a dispatcher comes from and what it carries. */
export interface DispatcherConfig {
  readonly id: DispatcherKey;
  readonly tableId: bigint;
  readonly schemaId: bigint;
  /** Keys of the span; empty at the outer ends of the table. Both empty: the whole table. */
  readonly start?: Uint8Array;
  readonly end?: Uint8Array;
  /** It starts behind the DDL at this commitTs, before the syncpoint at it (protocol.md R10). */
  readonly checkpointTs: bigint;
  /**
   * Rows of commitTs `checkpointTs + 1` are in the sink already and are dropped: it starts just before a DDL at which it
   * stood in an earlier life (`skipDMLAsStartTs` of `ScheduleDispatcherRequest`, ticdc.md TM59). Needs `commitTsOf`.
   */
  readonly skipDMLAsStartTs?: boolean;
  /**
   * `life` of the `ScheduleDispatcherRequest` that asks for it: whoever is asked after this node has a higher one, and of the
   * two only that is accepted (decisions/0028). Absent or 0: the node numbers it.
   */
  readonly life?: bigint;
  /** The commitTs of a row. */
  // biome-ignore lint/suspicious/noExplicitAny: rows are the sink's own business
  readonly commitTsOf?: (row: any) => bigint;
  // biome-ignore lint/suspicious/noExplicitAny: rows and payloads are the sink's own business
  readonly sink: Sink<any, any>;
}

interface Surroundings {
  readonly life: bigint;
  readonly clock: Clock;
  readonly reporter: Reporter;
  /** Something is outstanding now: poll. */
  readonly onOutstanding: () => void;
  readonly onError: (error: unknown, dispatcher: Dispatcher) => void;
}

interface Execution {
  readonly key: EventKey;
  readonly done: PromiseWithResolvers<void>;
}

/**
 * A dispatcher of a capture node: carries its machine's commands out, its sink's work one after the other on an executor
 * of its own, so that neither the event stream nor the mailbox is held up by I/O (protocol.md D2).
 */
export class Dispatcher {
  readonly config: DispatcherConfig;
  /** The number of this existence of the dispatcher (protocol.md R4). */
  readonly #surroundings: Surroundings;
  readonly #machine: DispatcherMachine;
  life: bigint;
  /** Whether the coordinator has ever accepted it. */
  accepted = false;
  schemaId: bigint;
  /** What `flush` was told is durable. */
  #flushedTs = 0n;
  #executor: Promise<void> = Promise.resolve();
  #stream: { readonly event: CaptureEvent; readonly resumed: PromiseWithResolvers<void> } | undefined;
  #execution: Execution | undefined;
  readonly #sending = new Set<Promise<void>>();
  /** Nothing is left without its ACK; another takes its place for the next time. */
  #acknowledged = Promise.withResolvers<void>();
  #cancelTick: (() => void) | undefined;
  #closing = false;
  #closed = false;

  /** @throws TypeError if rows are to be skipped and nothing says what their commitTs is */
  constructor(config: DispatcherConfig, surroundings: Surroundings) {
    if (config.skipDMLAsStartTs && !config.commitTsOf)
      throw new TypeError(
        `dispatcher ${config.id}: skipDMLAsStartTs needs commitTsOf, to know which rows to skip`,
      );
    this.config = config;
    this.#surroundings = surroundings;
    this.life = surroundings.life;
    this.schemaId = config.schemaId;
    const whole = (config.start?.length ?? 0) === 0 && (config.end?.length ?? 0) === 0;
    this.#machine = new DispatcherMachine({ tableId: config.tableId, whole }, config.checkpointTs);
  }

  /** Whether its life is the one that it was asked for with: a higher one would take it from whoever is asked now. */
  get isAskedFor(): boolean {
    return !this.accepted && this.life === this.config.life;
  }

  get outstanding(): boolean {
    return !this.#closed && this.#machine.outstanding;
  }

  /** Whether an event that it wrote by itself, or writes, has no ACK yet (protocol.md D3). */
  get unacknowledged(): boolean {
    return !this.#closed && this.#machine.unacknowledged;
  }

  /** The event at which its stream stands, for people. */
  get blockedAt() {
    return this.#machine.blockedAt;
  }

  /** What everything is behind that it has finished: a commitTs, for a registration with a new coordinator. */
  get finishedTs(): bigint {
    return this.#machine.finished.commitTs;
  }

  /**
   * Registered again in one epoch, it is not behind an event that it wrote and that has no ACK: the tables that it adds are not known
   * yet. In a higher epoch they are those of the opening.
   */
  registeredIn: "same epoch" | "new epoch" = "new epoch";

  /** The checkpoint that its registration says. */
  get registeredTs(): bigint {
    const from = this.registeredIn === "same epoch" ? this.#machine.unacknowledgedFrom : undefined;
    return from !== undefined && from <= this.finishedTs ? from - 1n : this.finishedTs;
  }

  /**
   * The event at which it waits, or whose action it executes, as a registration says it (protocol.md M14); or the syncpoint
   * behind which it is, for its checkpoint says no more than that the DDL of that commitTs is (R10).
   */
  get blockState(): State | undefined {
    const { standsAt: stands, finished } = this.#machine;
    if (stands === undefined)
      return finished.isSyncPoint ? doneState(finished, DoneAction.UNSPECIFIED) : undefined;
    const state = reportState(stands.event, true, this.#machine.identity);
    if (stands.stage === "writing") state.stage = BlockStage.WRITING;
    return state;
  }

  /**
   * The commitTs up to which all that its stream brought is durable, as far as this knows: what it started from, the events that it
   * finished, and what `flush` was told. Never past an event that adds tables and has no ACK (protocol.md D10).
   */
  get checkpointTs(): bigint {
    const { finishedTs, checkpointCap: cap } = this;
    const reached = this.#flushedTs > finishedTs ? this.#flushedTs : finishedTs;
    return cap !== undefined && cap < reached ? cap : reached;
  }

  /** What its checkpoint may not pass yet (protocol.md D10). */
  get checkpointCap(): bigint | undefined {
    return this.#machine.checkpointCap;
  }

  /** Takes rows, in the order of the stream. */
  write(rows: readonly unknown[]): Promise<void> {
    const { skipDMLAsStartTs, commitTsOf, checkpointTs, sink } = this.config;
    const wanted =
      skipDMLAsStartTs && commitTsOf ? rows.filter((row) => commitTsOf(row) !== checkpointTs + 1n) : rows;
    return this.#execute(() => sink.write(wanted));
  }

  /**
   * Takes a DDL or a syncpoint of the stream. Resolves when it was written or passed and the stream may go on.
   * @throws if an event that blocks nobody could not be written
   */
  handle(given: CaptureEvent): Promise<void> {
    const event = copyOf(given);
    // A rename moves the dispatcher's own table when it arrives, not when its barrier ends (protocol.md D9).
    for (const change of event.updatedSchemas ?? [])
      if (change.TableID === this.config.tableId) this.schemaId = change.NewSchemaID ?? this.schemaId;
    const resumed = Promise.withResolvers<void>();
    this.#stream = { event, resumed };
    this.#run(this.#machine.arrive(event));
    return resumed.promise;
  }

  /**
   * Makes everything that was written durable.
   * @param resolvedTs the stream has brought everything up to this commitTs: its rows were written, its DDLs handled. From then
   * on `checkpointTs` is no lower.
   */
  async flush(resolvedTs = 0n): Promise<void> {
    const event = { key: { commitTs: 0n, isSyncPoint: false }, payload: undefined };
    await this.#execute(() => this.config.sink.flushBeforeBlock(event));
    if (resolvedTs > this.#flushedTs) this.#flushedTs = resolvedTs;
  }

  onAck(key: EventKey): void {
    this.#run(this.#machine.ack(key, this.#surroundings.clock.now()));
  }

  onIgnored(key: EventKey): void {
    this.#run(this.#machine.ignored(key));
  }

  /** An action for this life. Resolves when all that it causes is durable: only then its message may go (I7). */
  onAction(action: ActionKind, key: EventKey): Promise<void> {
    const running = this.#execution;
    if (running && compareKeys(running.key, key) === 0) return running.done.promise;
    if (this.#closing) return this.#told();
    const commands = this.#machine.act(action, key);
    if (commands[0]?.do === "execute") this.#execution = { key, done: Promise.withResolvers() };
    const done = this.#run(commands);
    return this.#execution && commands[0]?.do === "execute" ? this.#execution.done.promise : done;
  }

  /**
   * Waits for what it has begun, and stops (protocol.md D10, D10a); also for the ACK of what it wrote by itself: a report that
   * comes to the coordinator behind the end of this life counts for nobody. Then it begins nothing new, so that nothing is
   * executed of which the coordinator does not hear.
   */
  async close(): Promise<void> {
    while (this.#machine.unacknowledged && !this.#closed) await this.#acknowledged.promise;
    this.#closing = true;
    await this.#told();
    this.abandon();
  }

  /** Resolves when all that it has begun is done, and told. */
  async #told(): Promise<void> {
    for (let seen: Promise<void> | undefined; seen !== this.#executor || this.#sending.size > 0; ) {
      seen = this.#executor;
      await seen;
      await Promise.allSettled(this.#sending);
    }
  }

  /** Resolves when its sink is at no work any more. */
  async idle(): Promise<void> {
    for (let seen: Promise<void> | undefined; seen !== this.#executor; ) {
      seen = this.#executor;
      await seen;
    }
  }

  /** Stops at once, as a process that dies. */
  abandon(): void {
    this.#closed = true;
    this.#cancelTick?.();
    this.#acknowledged.resolve();
  }

  #run(commands: readonly Command[]): Promise<void> {
    const sent: Promise<void>[] = [];
    for (const command of commands) {
      if (this.#closed) break;
      switch (command.do) {
        case "flush":
          this.#flushBefore(command.event);
          break;
        case "write-locally":
          this.#writeLocally(command.event);
          break;
        case "execute":
          this.#executeAction(command.action, command.event);
          break;
        case "report":
          this.#send(reportState(command.event, command.stage === "waiting", this.#machine.identity)).catch(
            (error) => this.#surroundings.onError(error, this),
          );
          break;
        case "done":
          sent.push(this.#send(doneState(command.key, DONE[command.action])));
          break;
        case "resume":
          if (this.#stream?.event === command.event) this.#stream.resumed.resolve();
          break;
      }
    }
    this.#afterwards();
    return Promise.all(sent).then(() => undefined);
  }

  #flushBefore(event: CaptureEvent): void {
    this.#execute(() => this.config.sink.flushBeforeBlock(event)).then(
      () => this.#run(this.#machine.flushed(this.#surroundings.clock.now())),
      (error) => {
        this.#surroundings.onError(error, this);
        this.#surroundings.clock.after(REPEAT_MS, () => {
          if (!this.#closed) this.#flushBefore(event);
        });
      },
    );
  }

  #writeLocally(event: CaptureEvent): void {
    this.#execute(async () => {
      await this.config.sink.flushBeforeBlock(event);
      await this.config.sink.writeBlockEvent(event);
    }).then(
      () => this.#run(this.#machine.wroteLocally(event, this.#surroundings.clock.now())),
      (error) => {
        this.#run(this.#machine.failedLocally(event));
        this.#stream?.resumed.reject(error);
      },
    );
  }

  #executeAction(action: ActionKind, event: CaptureEvent): void {
    const { sink } = this.config;
    const execution = this.#execution!;
    this.#execute(() => (action === "write" ? sink.writeBlockEvent(event) : sink.passBlockEvent(event))).then(
      () => {
        const done = this.#run(this.#machine.executed(action));
        this.#execution = undefined;
        done.then(execution.done.resolve, execution.done.reject);
      },
      (error) => {
        this.#execution = undefined;
        this.#surroundings.onError(error, this);
        this.#run(this.#machine.failed(this.#surroundings.clock.now()));
        execution.done.reject(error);
      },
    );
    // Who waits for it is told; nobody has to.
    execution.done.promise.catch(() => undefined);
  }

  /** One piece of work of the sink after the other. */
  #execute(work: () => Promise<void>): Promise<void> {
    const result = this.#executor.then(work);
    this.#executor = result.catch(() => undefined);
    return result;
  }

  #send(state: ReturnType<typeof doneState>): Promise<void> {
    const sending = this.#surroundings.reporter.report(this.config.id, this.life, state);
    this.#sending.add(sending);
    sending.finally(() => this.#sending.delete(sending)).catch(() => undefined);
    return sending;
  }

  #afterwards(): void {
    if (this.#closed) return;
    if (!this.#machine.unacknowledged) {
      this.#acknowledged.resolve();
      this.#acknowledged = Promise.withResolvers();
    }
    const { clock, onOutstanding } = this.#surroundings;
    this.#cancelTick?.();
    const next = this.#machine.nextTick;
    if (next !== undefined)
      this.#cancelTick = clock.after(Math.max(0, next - clock.now()), () => {
        this.#run(this.#machine.tick(clock.now()));
      });
    if (this.#machine.outstanding) onOutstanding();
  }
}

const DONE = { write: DoneAction.WRITE_DONE, pass: DoneAction.PASS_DONE } as const;

/** Whether an answer by influence is for a dispatcher (ticdc.md TM45): by id otherwise. */
export function isInfluenced(dispatcher: Dispatcher, influence: InfluenceType, schemaId: bigint): boolean {
  if (influence === InfluenceType.All) return true;
  return (
    influence === InfluenceType.DB && (dispatcher.schemaId === schemaId || dispatcher.config.tableId === 0n)
  );
}
