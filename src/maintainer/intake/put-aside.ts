/** What becomes of a message, or a part of one, that cannot count: kept as a dead letter, with the reason (invariants.md I10). */

import type { Observation, Observer } from "../base/observe.ts";
import type { DeadLetter } from "../base/port.ts";
import { ask, type Program } from "../base/program.ts";
import type { Settings } from "../session/session.ts";
import { mayReplay, principalOf, SENDER_ATTRIBUTE, SENT_AT_ATTRIBUTE } from "./envelope.ts";
import type { StatusMessage } from "./input.ts";

/** Keeps a message with the reason, and says so. @throws if it could not be kept: then it must come again */
export function* putAside(
  message: StatusMessage,
  reason: string,
  space: string,
  observer: Observer,
  settings: Settings,
): Program<void> {
  yield* ask("deadLetter", deadLetter(message, reason, settings));
  observer.note(rejection(space, message, reason));
}

function rejection(space: string, message: StatusMessage, detail: string): Observation {
  return { what: "message-rejected", space, node: message.attributes["from"] ?? "", detail };
}

/**
 * When a message was sent, and by whom, is part of what it says and would be lost with a redrive (protocol.md 1.5,
 * R7).
 */
function deadLetter(message: StatusMessage, reason: string, settings: Settings): DeadLetter {
  const { body } = message;
  // What anybody but a redriver says of either would count when a redriver brings it back.
  const { [SENDER_ATTRIBUTE]: first, ...attributes } = message.attributes;
  const stated = mayReplay(message, settings) ? message.attributes[SENT_AT_ATTRIBUTE] : undefined;
  // Whose a time is that a redriver states alone is not known (decisions/0046): the letter says so too.
  const sender = stated === undefined || first ? principalOf(message, settings) : "";
  const sentAt = { [SENT_AT_ATTRIBUTE]: stated ?? String(message.sentAt) };
  return {
    body,
    attributes: { ...attributes, ...sentAt, ...(sender && { [SENDER_ATTRIBUTE]: sender }) },
    reason,
  };
}
