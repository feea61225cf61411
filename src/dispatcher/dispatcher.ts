import { compareKeys, type EventKey, keyText } from "../protocol/event-key.ts";
import { BlockStage, DoneAction, InfluenceType, type State } from "../protocol/messages.ts";
import type { DispatcherConfig } from "./config.ts";
import { DispatcherClosed, isOver } from "./errors.ts";
import { type CaptureEvent, entriesOf } from "./event.ts";
import type { EventPool } from "./event-pool.ts";
import type { Dispatcher, Standing } from "./hosted.ts";
import { type ActionKind, type Command, DispatcherMachine, REPEAT_MS, SLOW_REPEAT_MS } from "./machine.ts";
import type { Clock } from "./ports.ts";
import type { Reporter } from "./reporter.ts";
import { SinkWork } from "./sink-work.ts";
import { doneState, reportState } from "./states.ts";
import { StreamPlace } from "./stream-place.ts";

interface Surroundings {
  readonly life: bigint;
  readonly clock: Clock;
  readonly reporter: Reporter;
  readonly events: EventPool;
  /** A registration names a WAITING of an event that lists so many entries at most. */
  readonly registeredEntries: number;
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
export class HostedDispatcher implements Dispatcher {
  readonly config: DispatcherConfig;
  readonly #surroundings: Surroundings;
  readonly #machine: DispatcherMachine;
  life: bigint;
  /** Whether the coordinator has ever accepted it. */
  accepted = false;
  schemaId: bigint;
  /** What `flush` was told is durable. */
  #flushedTs = 0n;
  readonly #work: SinkWork;
  readonly #stream: StreamPlace;
  #execution: Execution | undefined;
  /** What is being reported, and in which life: a repeat of it goes no second way beside it. */
  readonly #sending = new Map<string, Promise<void>>();
  /** Nothing is left without its ACK; another takes its place for the next time. */
  #acknowledged = Promise.withResolvers<void>();
  #cancelTick: (() => void) | undefined;
  /** It begins nothing any more. */
  #closing = false;
  /** It stops with its node: what it is asked to do is left for its next life. */
  #stopping: Error | undefined;
  #ended: Error | undefined;
  #closed: Promise<void> | undefined;

  /** @throws TypeError if rows are to be skipped and nothing says what their commitTs is */
  constructor(config: DispatcherConfig, surroundings: Surroundings) {
    if (config.skipDmlAsStartTs && !config.commitTsOf)
      throw new TypeError(
        `dispatcher ${config.id}: skipDmlAsStartTs needs commitTsOf, to know which rows to skip`,
      );
    this.config = config;
    this.#surroundings = surroundings;
    this.life = surroundings.life;
    this.schemaId = config.schemaId;
    const whole = (config.start?.length ?? 0) === 0 && (config.end?.length ?? 0) === 0;
    this.#stream = new StreamPlace(config.id);
    this.#work = new SinkWork(config.id, (rows) => config.sink.write(this.#wanted(rows)));
    this.#machine = new DispatcherMachine({ tableId: config.tableId, whole }, config.checkpointTs);
  }

  /** Whether its life is the one that it was asked for with: a higher one would take it from whoever is asked now. */
  get isAskedFor(): boolean {
    return !this.accepted && this.life === this.config.life;
  }

  get outstanding(): boolean {
    return this.#ended === undefined && this.#machine.outstanding;
  }

  /** Whether an event that it wrote by itself, or writes, has no ACK yet (protocol.md D3). */
  get unacknowledged(): boolean {
    return this.#ended === undefined && this.#machine.unacknowledged;
  }

  get blockedAt(): Standing | undefined {
    return this.#machine.blockedAt;
  }

  get busyWith(): string {
    if (this.#execution) return `its sink executes the action of event ${keyText(this.#execution.key)}`;
    if (this.unacknowledged) return "an event that it wrote by itself has no ACK yet";
    return this.#sending.size > 0 ? "its reports are not in the status queue" : "its sink works";
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
   * behind which it is, for its checkpoint says no more than that the DDL of that commitTs is (R10). Thousands may wait at an event
   * that lists thousands of tables: then each says so when it is accepted (`onAccepted`), for reports share the event. Until
   * then the coordinator knows as little of it as during a flush. An action that is executed cannot wait: nobody else may be
   * asked to write.
   */
  get blockState(): State | undefined {
    const { standsAt: stands, finished } = this.#machine;
    if (stands === undefined)
      return finished.isSyncPoint ? doneState(finished, DoneAction.UNSPECIFIED) : undefined;
    if (this.#saysLater(stands)) return undefined;
    const state = reportState(stands.event, true, this.#machine.identity);
    if (stands.stage === "writing") state.stage = BlockStage.WRITING;
    return state;
  }

  #saysLater({ event, stage }: { readonly event: CaptureEvent; readonly stage: string }): boolean {
    return stage === "waiting" && entriesOf(event) > this.#surroundings.registeredEntries;
  }

  /** Its registration was accepted. What that has left out it says now. */
  onAccepted(): void {
    const { standsAt } = this.#machine;
    if (standsAt && this.#saysLater(standsAt))
      this.#drive(this.#machine.reportAgain(this.#surroundings.clock.now()));
  }

  get checkpointTs(): bigint {
    const { finishedTs, checkpointCap: cap } = this;
    const reached = this.#flushedTs > finishedTs ? this.#flushedTs : finishedTs;
    return cap !== undefined && cap < reached ? cap : reached;
  }

  get checkpointCap(): bigint | undefined {
    return this.#machine.checkpointCap;
  }

  write(rows: readonly unknown[]): Promise<void> {
    return this.#taken(() => {
      this.#stream.refuse("write");
      return this.#work.write(rows);
    });
  }

  retry(): Promise<void> {
    return this.#taken(() => this.#work.retry());
  }

  handle(given: CaptureEvent): Promise<void> {
    return this.#taken(() => {
      this.#stream.refuse("handle", given.key);
      const event = this.#surroundings.events.copyOf(given);
      // A rename moves the dispatcher's own table when it arrives, not when its barrier ends (protocol.md D9).
      for (const change of event.updatedSchemas ?? [])
        if (change.tableId === this.config.tableId) this.schemaId = change.newSchemaId;
      const handled = this.#stream.arrive(event);
      this.#drive(this.#machine.arrive(event));
      return handled;
    });
  }

  flush(resolvedTs = 0n): Promise<void> {
    return this.#taken(() => {
      const stands = this.#stream.standsAt;
      if (stands && compareKeys(stands, { commitTs: resolvedTs, isSyncPoint: false }) <= 0)
        throw new RangeError(
          `dispatcher ${this.config.id} stands at ${keyText(stands)}: not everything up to ${resolvedTs} is done`,
        );
      const event = { key: { commitTs: 0n, isSyncPoint: false }, payload: undefined };
      return this.#work.run(async () => {
        await this.config.sink.flushBeforeBlock(event);
        if (resolvedTs > this.#flushedTs) this.#flushedTs = resolvedTs;
      });
    });
  }

  /** What is refused rejects, as what fails does. */
  #taken(call: () => Promise<void>): Promise<void> {
    try {
      if (this.#ended) throw this.#ended;
      if (this.#closing) throw this.#stopping ?? new DispatcherClosed(this.config.id);
      return call();
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #wanted(rows: readonly unknown[]): readonly unknown[] {
    const { config } = this;
    return config.skipDmlAsStartTs
      ? rows.filter((row) => config.commitTsOf?.(row) !== config.checkpointTs + 1n)
      : rows;
  }

  onAck(key: EventKey): void {
    this.#drive(this.#machine.ack(key, this.#surroundings.clock.now()));
  }

  onIgnored(key: EventKey): void {
    this.#drive(this.#machine.ignored(key));
  }

  /** An action for this life. Resolves when all that it causes is durable: only then its message may go (I7). */
  async onAction(action: ActionKind, key: EventKey): Promise<void> {
    // An action for one that is removed is for nobody; one for a node that is stopped stays for its next start.
    if (this.#ended instanceof DispatcherClosed) return;
    if (this.#ended) throw this.#ended;
    const running = this.#execution;
    if (running && compareKeys(running.key, key) === 0) return running.done.promise;
    // Who is being removed is asked no more once that is known; of who is only stopped the action waits for its next life.
    if (this.#closing) {
      await this.#told();
      if (this.#stopping) throw this.#stopping;
      return;
    }
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
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    while (this.#machine.unacknowledged && !this.#ended) await this.#acknowledged.promise;
    this.#closing = true;
    await this.#told();
    this.abandon();
    if (this.#stopping) throw this.#stopping;
  }

  /** Takes nothing new. Resolves when all that it has begun is done, and told. Its actions stay in their queue. */
  async finish(reason: Error): Promise<void> {
    this.#stopping = reason;
    this.#closing = true;
    await this.#told();
  }

  /** Resolves when all that it has begun is done, and told. */
  async #told(): Promise<void> {
    for (let seen: Promise<void> | undefined; seen !== this.#work.tail || this.#sending.size > 0; ) {
      seen = this.#work.tail;
      await seen;
      await Promise.allSettled(this.#sending.values());
    }
  }

  /** Stops at once, as a process that dies. What has not ended rejects with the reason. */
  abandon(reason: Error = new DispatcherClosed(this.config.id)): void {
    if (this.#ended) return;
    this.#ended = reason;
    this.#cancelTick?.();
    this.#work.end(reason);
    this.#execution?.done.reject(reason);
    this.#stream.end(reason);
    this.#acknowledged.resolve();
  }

  #run(commands: readonly Command[]): Promise<void> {
    const sent: Promise<void>[] = [];
    for (const command of commands) {
      if (this.#ended) break;
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
          this.#report(command.stage, command.event);
          break;
        case "done":
          sent.push(
            this.#send(`${command.action} ${keyText(command.key)}`, () =>
              doneState(command.key, DONE[command.action]),
            ),
          );
          break;
        case "resume":
          this.#stream.leave(command.event);
          break;
      }
    }
    this.#afterwards();
    return Promise.all(sent).then(() => undefined);
  }

  /** As `#run`, where nobody waits for what is sent. */
  #drive(commands: readonly Command[]): void {
    this.#run(commands).catch((error) => this.#fails(error));
  }

  #report(stage: "waiting" | "none", event: CaptureEvent): void {
    // Nobody would be there for the answer.
    if (this.#stopping && stage === "waiting") return;
    this.#send(`${stage} ${keyText(event.key)}`, () =>
      this.#surroundings.events.stateOf(event, stage === "waiting", this.#machine.identity),
    ).catch((error) => this.#fails(error));
  }

  #fails(error: unknown): void {
    if (!isOver(error)) this.#surroundings.onError(error, this);
  }

  #flushBefore(event: CaptureEvent): void {
    this.#work
      .run(() => this.config.sink.flushBeforeBlock(event))
      .then(
        () => this.#drive(this.#machine.flushed(this.#surroundings.clock.now())),
        (error) => {
          this.#fails(error);
          this.#surroundings.clock.after(REPEAT_MS, () => {
            if (!this.#closing) this.#flushBefore(event);
          });
        },
      );
  }

  #writeLocally(event: CaptureEvent): void {
    this.#work
      .run(async () => {
        await this.config.sink.flushBeforeBlock(event);
        await this.config.sink.writeBlockEvent(event);
      })
      .then(
        () => this.#drive(this.#machine.wroteLocally(event, this.#surroundings.clock.now())),
        (error) => {
          if (!this.#stream.isAt(event)) return;
          this.#drive(this.#machine.failedLocally(event));
          this.#stream.fail(event, error);
        },
      );
  }

  #executeAction(action: ActionKind, event: CaptureEvent): void {
    const { sink } = this.config;
    const execution = this.#execution!;
    this.#work
      .run(() => (action === "write" ? sink.writeBlockEvent(event) : sink.passBlockEvent(event)))
      .then(
        () => {
          const done = this.#run(this.#machine.executed(action));
          this.#execution = undefined;
          // Given up meanwhile: its DONE did not go out, so its action must stay.
          if (this.#ended) execution.done.reject(this.#ended);
          else done.then(execution.done.resolve, execution.done.reject);
        },
        (error) => {
          this.#execution = undefined;
          this.#fails(error);
          this.#drive(this.#machine.failed(this.#surroundings.clock.now()));
          execution.done.reject(error);
        },
      );
    // Who waits for it is told; nobody has to.
    execution.done.promise.catch(() => undefined);
  }

  /** Reports once at a time: a repeat of what is under way is that. Only what changes is said anew, and in which life. */
  #send(what: string, state: () => State): Promise<void> {
    const text = `${this.life} ${what}`;
    const underWay = this.#sending.get(text);
    if (underWay) return underWay;
    const sending = this.#surroundings.reporter
      .report(this.config.id, this.life, state())
      .finally(() => this.#sending.delete(text));
    this.#sending.set(text, sending);
    return sending;
  }

  #afterwards(): void {
    if (this.#ended) return;
    if (!this.#machine.unacknowledged) {
      this.#acknowledged.resolve();
      this.#acknowledged = Promise.withResolvers();
    }
    const { clock, onOutstanding } = this.#surroundings;
    this.#cancelTick?.();
    const next = this.#machine.nextTick;
    if (next !== undefined) {
      // A clock that was set back makes nobody wait longer than the longest repeat.
      const ms = Math.min(Math.max(0, next - clock.now()), SLOW_REPEAT_MS);
      this.#cancelTick = clock.after(ms, () => this.#drive(this.#machine.tick(clock.now())));
    }
    if (this.#machine.outstanding) onOutstanding();
  }
}

const DONE = { write: DoneAction.WRITE_DONE, pass: DoneAction.PASS_DONE } as const;

/** Whether an answer by influence is for a dispatcher (ticdc.md TM45): by id otherwise. */
export function isInfluenced(
  dispatcher: HostedDispatcher,
  influence: InfluenceType,
  schemaId: bigint,
): boolean {
  if (influence === InfluenceType.All) return true;
  return (
    influence === InfluenceType.DB && (dispatcher.schemaId === schemaId || dispatcher.config.tableId === 0n)
  );
}
