import { clone, create, toJsonString } from "@bufbuild/protobuf";
import { type Encoding, encode, type MessageOf } from "./codec.ts";
import { halvesOf } from "./hex-id.ts";
import {
  DispatcherIDSchema,
  type DispatcherStatus,
  DispatcherStatusSchema,
  HeartBeatResponseSchema,
  InfluencedDispatchersSchema,
} from "./messages.ts";

/** A status for many dispatchers. */
export interface FoldedAnswer {
  /** The status without its lists. It is not changed afterwards: what is written of it is remembered. */
  readonly head: DispatcherStatus;
  /** `influencedDispatchers.DispatcherIDs`, each as 32 hex digits. */
  readonly ids: readonly string[];
  /** Beside `ids`, or empty. */
  readonly lives: readonly bigint[];
}

/**
 * Encodes a `HeartBeatResponse`: what `encode` gives for the whole message means the same, but in JSON this takes no object
 * for each of the dispatchers.
 * @param envelope the response without statuses; like the heads, not changed afterwards
 */
export function encodeAnswers(
  encoding: Encoding,
  envelope: MessageOf<"HeartBeatResponse">,
  answers: readonly FoldedAnswer[],
): string {
  if (encoding !== "json")
    return encode(
      "HeartBeatResponse",
      encoding,
      create(HeartBeatResponseSchema, { ...envelope, dispatcherStatuses: answers.map(wholeStatus) }),
    );
  const statuses = answers.map(statusText).join(",");
  return spliced(envelopeText(envelope), `"dispatcherStatuses":[${statuses}]`);
}

function wholeStatus({ head, ids, lives }: FoldedAnswer): DispatcherStatus {
  const status = clone(DispatcherStatusSchema, head);
  if (ids.length > 0) {
    status.influencedDispatchers ??= create(InfluencedDispatchersSchema);
    status.influencedDispatchers.DispatcherIDs = ids.map((id) => {
      const [high, low] = halvesOf(id);
      return create(DispatcherIDSchema, { high, low });
    });
  }
  status.lives = [...lives];
  return status;
}

const texts = new WeakMap<object, string>();

function remembered<T extends object>(message: T, write: (message: T) => string): string {
  let text = texts.get(message);
  if (text === undefined) {
    text = write(message);
    texts.set(message, text);
  }
  return text;
}

function envelopeText(envelope: MessageOf<"HeartBeatResponse">): string {
  return remembered(envelope, (message) => toJsonString(HeartBeatResponseSchema, message));
}

function statusText({ head, ids, lives }: FoldedAnswer): string {
  const { influencedDispatchers } = head;
  let text = remembered(head, ({ influencedDispatchers: _, ...others }) =>
    toJsonString(DispatcherStatusSchema, create(DispatcherStatusSchema, others)),
  );
  if (lives.length > 0) text = spliced(text, `"lives":[${livesText(lives)}]`);
  if (influencedDispatchers === undefined && ids.length === 0) return text;
  let influenced =
    influencedDispatchers === undefined
      ? "{}"
      : remembered(influencedDispatchers, (message) => toJsonString(InfluencedDispatchersSchema, message));
  if (ids.length > 0) influenced = spliced(influenced, `"DispatcherIDs":[${idsText(ids)}]`);
  return spliced(text, `"influencedDispatchers":${influenced}`);
}

/** An object's text with one more member, in front of the others. */
function spliced(object: string, member: string): string {
  return object === "{}" ? `{${member}}` : `{${member},${object.slice(1)}`;
}

function livesText(lives: readonly bigint[]): string {
  let life: bigint | undefined;
  let text = "";
  // Dispatchers that were created together have the same.
  return lives
    .map((one) => {
      if (one !== life) {
        life = one;
        text = `"${one}"`;
      }
      return text;
    })
    .join(",");
}

function idsText(ids: readonly string[]): string {
  return ids
    .map((id) => {
      const [high, low] = halvesOf(id);
      // Zero values are absent.
      if (high === 0n) return low === 0n ? "{}" : `{"low":"${low}"}`;
      return low === 0n ? `{"high":"${high}"}` : `{"high":"${high}","low":"${low}"}`;
    })
    .join(",");
}
