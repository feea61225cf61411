import { type DispatcherKey, dispatcherKey } from "../barrier/dispatcher-id.ts";
import { decode, MalformedMessage, parseEncoding } from "../protocol/codec.ts";
import {
  Action,
  type ChangefeedID,
  type DispatcherStatus,
  type HeartBeatResponse,
} from "../protocol/messages.ts";
import { type HostedDispatcher, isInfluenced } from "./dispatcher.ts";
import { RegistrationRefused, UnknownSender } from "./errors.ts";
import type { Dispatcher } from "./hosted.ts";
import type { ReceivedMessage } from "./ports.ts";
import type { ScheduleRequest } from "./schedule.ts";
import { fromScheduleRequest } from "./wire.ts";

export interface AnswersOptions {
  readonly changefeed: ChangefeedID;
  readonly mode: bigint;
  readonly dispatchers: ReadonlyMap<DispatcherKey, HostedDispatcher>;
  /** Principals whose messages count; undefined: everybody's. */
  readonly coordinators: readonly string[] | undefined;
  /** @throws MalformedMessage if the body is no `RegistrationResult` */
  readonly onRegistrationResult: (body: string) => void;
  readonly onSchedule: (request: ScheduleRequest) => Promise<void>;
  readonly onError: (error: unknown, dispatcher?: Dispatcher) => void;
}

/** What comes from the coordinator, brought to whom it is for. */
export class Answers {
  readonly #options: AnswersOptions;
  #epochSeen = 0n;

  constructor(options: AnswersOptions) {
    this.#options = options;
  }

  /** From here on nothing of a lower epoch is obeyed (protocol.md D11). */
  raise(epoch: bigint): void {
    if (epoch > this.#epochSeen) this.#epochSeen = epoch;
  }

  /** Resolves when all that a message causes is durable: only then it may go (invariants.md I7). */
  async receive(message: ReceivedMessage): Promise<void> {
    const { onRegistrationResult, onSchedule, onError, coordinators } = this.#options;
    const { type } = message.attributes;
    // Left in the queue it would come again for days. The coordinator repeats what nobody answers.
    if (coordinators !== undefined && !coordinators.includes(message.sender ?? "")) {
      onError(new UnknownSender(unknownSender(message)));
      return;
    }
    try {
      if (type === "RegistrationResult") onRegistrationResult(message.body);
      else if (type === "HeartBeatResponse")
        await this.#respond(
          decode("HeartBeatResponse", parseEncoding(message.attributes["encoding"]), message.body),
        );
      else if (type === "ScheduleDispatcherRequest") {
        const encoding = parseEncoding(message.attributes["encoding"]);
        const request = decode("ScheduleDispatcherRequest", encoding, message.body);
        if (
          this.#isMine(request.changefeedID, request.config?.mode) &&
          this.#follows(request.maintainerEpoch)
        )
          await onSchedule(fromScheduleRequest(request));
      } else throw new MalformedMessage(`attribute type is "${type}": nothing is known of it`);
    } catch (error) {
      // What cannot be understood will not be understood the next time, and a dispatcher that is refused will be refused again: it
      // is told, and goes.
      if (!(error instanceof MalformedMessage || error instanceof RegistrationRefused)) throw error;
      onError(error);
    }
  }

  /** Whether a message is about this node's changefeed and mode: another's dispatchers are not its own (M17). */
  #isMine(changefeed: ChangefeedID | undefined, mode = 0n): boolean {
    const mine = this.#options.changefeed;
    return (
      mode === this.#options.mode &&
      changefeed?.high === mine.high &&
      changefeed.low === mine.low &&
      changefeed.name === mine.name &&
      changefeed.keyspace === mine.keyspace
    );
  }

  /** Whether a message is of the newest epoch that was seen: older ones are dropped (protocol.md D11). */
  #follows(epoch: bigint): boolean {
    if (epoch < this.#epochSeen) return false;
    this.#epochSeen = epoch;
    return true;
  }

  async #respond(response: HeartBeatResponse): Promise<void> {
    if (!this.#isMine(response.changefeedID, response.mode)) return;
    if (!this.#follows(response.maintainerEpoch)) return;
    const durable: Promise<void>[] = [];
    for (const status of response.dispatcherStatuses)
      for (const dispatcher of this.#addressed(status)) durable.push(this.#tell(dispatcher, status));
    await Promise.all(durable);
  }

  /** The dispatchers that a status is for; an action of another life is for nobody (protocol.md D6). */
  #addressed(status: DispatcherStatus): HostedDispatcher[] {
    const { dispatchers } = this.#options;
    const about = status.influencedDispatchers;
    if (about === undefined) return [];
    const named = about.DispatcherIDs.flatMap((id, index) => {
      const dispatcher = dispatchers.get(dispatcherKey(id));
      const life = status.lives[index];
      return dispatcher && (life === undefined || life === dispatcher.life) ? [dispatcher] : [];
    });
    if (about.DispatcherIDs.length > 0) return named;
    return [...dispatchers.values()].filter((one) => isInfluenced(one, about.InfluenceType, about.SchemaID));
  }

  async #tell(
    dispatcher: HostedDispatcher,
    { ack, ignoredBlockStatus, action }: DispatcherStatus,
  ): Promise<void> {
    if (ack) dispatcher.onAck({ commitTs: ack.CommitTs, isSyncPoint: ack.IsSyncPoint });
    if (ignoredBlockStatus)
      dispatcher.onIgnored({
        commitTs: ignoredBlockStatus.CommitTs,
        isSyncPoint: ignoredBlockStatus.IsSyncPoint,
      });
    if (action === undefined) return;
    const key = { commitTs: action.CommitTs, isSyncPoint: action.IsSyncPoint };
    if (action.action === Action.Write) await dispatcher.onAction("write", key);
    else if (action.action === Action.Pass) await dispatcher.onAction("pass", key);
    // An unknown action: told, and the event goes on waiting (protocol.md D7).
    else this.#options.onError(new MalformedMessage(`action ${action.action} is unknown`), dispatcher);
  }
}

/** Both are what a stranger has written: shown in quotes and cut. */
function unknownSender({ sender, attributes }: ReceivedMessage): string {
  const shown = (text: string | undefined) =>
    text === undefined ? "nobody" : JSON.stringify(text.slice(0, 128));
  return `a message of type ${shown(attributes["type"])} was sent by ${shown(sender)}, whom coordinators does not name: it is deleted and not obeyed`;
}
