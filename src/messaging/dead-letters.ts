import type { DeadLetter } from "../maintainer/base/port.ts";
import {
  type Attributes,
  allowed,
  attribute,
  cutTo,
  MAX_ATTRIBUTES,
  MAX_MESSAGE_BYTES,
  sizeOf,
} from "./limits.ts";

/** Of a long reason, the beginning says what is wrong; the rest would take the place of the body. */
const MAX_REASON_BYTES = 2000;
/** The attributes (protocol.md 1.5): what a replay needs is kept before anything else. */
const FIRST = [
  "type",
  "from",
  "sentAt",
  "sender",
  "replyQueue",
  "nodeQueue",
  "start",
  "part",
  "parts",
  "encoding",
];

/**
 * Keeps a message that is not understood, with the reason as an attribute (invariants.md I10). It is kept whole, so that it
 * can be replayed; only what the queue cannot hold is cut, and then the reason says so.
 * @param send sends a message to the dead-letter queue
 * @throws if it could not be kept
 */
export async function keepDeadLetter(
  letter: DeadLetter,
  send: (body: string, attributes: Attributes) => Promise<void>,
): Promise<void> {
  const sendWithin = (limit: number) => {
    const { body, attributes } = fitting(letter, limit);
    return send(body, attributes);
  };
  try {
    await sendWithin(MAX_MESSAGE_BYTES);
  } catch (error) {
    const limit = limitIn(error);
    if (limit === undefined) throw error;
    await sendWithin(limit);
  }
}

/** The limit of the queue, if that is what it complains about. */
function limitIn(error: unknown): number | undefined {
  const limit = error instanceof Error && /shorter than (\d+) bytes/.exec(error.message)?.[1];
  return limit ? Number(limit) : undefined;
}

function fitting(letter: DeadLetter, limit: number): { body: string; attributes: Attributes } {
  const attributes: Attributes = {};
  const rank = (name: string, value: string) => {
    // What does not say so is in JSON: with all that a registration may have, this is the one too many.
    if (name === "encoding" && value === "json") return FIRST.length - 0.5;
    return FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length;
  };
  const kept = Object.entries(letter.attributes)
    .filter(([name, value]) => value !== "" && name !== "reason")
    .sort((a, b) => rank(...a) - rank(...b))
    .slice(0, MAX_ATTRIBUTES - 1);
  for (const [name, value] of kept) attributes[name] = attribute(allowed(value));
  const reason = cutTo(allowed(letter.reason), MAX_REASON_BYTES) || "no reason given";
  attributes["reason"] = attribute(reason);
  // SQS takes no empty body.
  const body = letter.body === "" ? " " : allowed(letter.body);
  if (sizeOf(body, attributes) <= limit) return { body, attributes };

  const bytes = Buffer.byteLength(body);
  attributes["reason"] = attribute(
    `${reason} (its body of ${bytes} bytes is cut here: the queue holds no more)`,
  );
  return { body: cutTo(body, limit - sizeOf("", attributes)), attributes };
}
