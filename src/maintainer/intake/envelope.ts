/** What a message says around its body: who sent it, when, in which process, and of which changefeed. */
import type { Sender } from "../../barrier/membership.ts";
import { MalformedMessage } from "../../protocol/codec.ts";
import type { ChangefeedID } from "../../protocol/messages.ts";
import { MAX_SPACE, type Space, spaceOf } from "../base/space.ts";
import type { IntakeSettings, StatusMessage } from "./input.ts";

/** On a dead letter: the principal that sent it first. Only the coordinator writes it (decisions/0016). */
export const SENDER_ATTRIBUTE = "sender";

/**
 * Whose message it is: what `SenderId` says, or, if a dead letter was brought back, who sent it first (protocol.md R7).
 */
export function principalOf(message: StatusMessage, { redrivers }: IntakeSettings): string {
  const first = message.attributes[SENDER_ATTRIBUTE];
  return first && redrivers?.includes(message.principal) ? first : message.principal;
}

/**
 * Whether a node's id is bound to the principal of its registration. A redriver that names no first sender brings back
 * what SQS itself took for dead: whose that is nobody knows, and the redriver's it is not (decisions/0046).
 */
export function binds(message: StatusMessage, { redrivers }: IntakeSettings): boolean {
  return !redrivers?.includes(message.principal) || !!message.attributes[SENDER_ATTRIBUTE];
}

/** On a message that is brought back: when it was sent first, in ms since 1970 (protocol.md 1.5). */
export const SENT_AT_ATTRIBUTE = "sentAt";

/** Above the highest start there is none that a node could go on with (protocol.md R5). */
const MAX_START = 2 ** 52;
/** Bytes of a node's id: it stands in every item that knows the node. */
export const MAX_NODE_ID = 256;

/**
 * Who may say when a message was first sent, which for old nodes is the number of a life (protocol.md R6): redrivers. Where queues
 * name no sender nobody can be told apart, and everybody may.
 */
export function mayReplay({ principal }: StatusMessage, { redrivers }: IntakeSettings): boolean {
  return principal === "" || redrivers?.includes(principal) === true;
}

/** Who sent a message. @throws MalformedMessage if its attributes cannot be */
export function senderOf(message: StatusMessage, settings: IntakeSettings): Sender {
  // Otherwise it would wait in a dead letter until somebody who is trusted brings it back.
  const first = message.attributes[SENDER_ATTRIBUTE];
  if (first && first !== message.principal && !settings.redrivers?.includes(message.principal))
    throw new MalformedMessage(
      `attribute ${SENDER_ATTRIBUTE} is there: only the coordinator writes it, leave it out`,
    );
  const node = message.attributes["from"];
  if (!node) throw new MalformedMessage("attribute from is absent: put the node's id there");
  if (Buffer.byteLength(node) > MAX_NODE_ID)
    throw new MalformedMessage(
      `attribute from is ${Buffer.byteLength(node)} bytes long: use an id of at most ${MAX_NODE_ID}`,
    );
  if (message.attributes[SENT_AT_ATTRIBUTE] !== undefined && !mayReplay(message, settings))
    throw new MalformedMessage(
      `attribute ${SENT_AT_ATTRIBUTE} is there: only who brings messages back may say when they were sent, leave it out or name principal ${message.principal} among the deployment's redrivers`,
    );
  // Its time would count as one of the redriver's own nodes, which has no such time (decisions/0046).
  if (message.attributes[SENT_AT_ATTRIBUTE] !== undefined && message.principal !== "" && !first)
    throw new MalformedMessage(
      `attribute ${SENT_AT_ATTRIBUTE} is there and ${SENDER_ATTRIBUTE} is not: name there the principal that sent the message at that time, ${message.principal} if you did`,
    );
  const sentAt = numberAttribute(message, SENT_AT_ATTRIBUTE, message.sentAt);
  const start = numberAttribute(message, "start", 0);
  if (start > MAX_START)
    throw new MalformedMessage(
      `attribute start is ${start}: use a number up to 2^52, as milliseconds since 1970`,
    );
  return {
    node,
    start: BigInt(start),
    principal: principalOf(message, settings),
    sentAt,
  };
}

/** @throws MalformedMessage if the attribute is there and no whole number below 2^53 */
export function numberAttribute(message: StatusMessage, name: string, otherwise: number): number {
  const text = message.attributes[name];
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new MalformedMessage(`attribute ${name} is "${text}": use a whole number below 2^53`);
  return value;
}

/** @throws MalformedMessage if the message names no changefeed */
export function spaceFor(changefeed: ChangefeedID | undefined, mode: bigint): Space {
  if (changefeed === undefined || (changefeed.name === "" && changefeed.high === 0n && changefeed.low === 0n))
    throw new MalformedMessage("changefeedID is absent: name the changefeed");
  if (mode !== 0n && mode !== 1n) throw new MalformedMessage(`mode is ${mode}: use 0 (default) or 1 (redo)`);
  const space = spaceOf(changefeed, mode);
  if (space.text.length > MAX_SPACE)
    throw new MalformedMessage(
      `changefeedID is ${space.text.length} bytes long, with its name and keyspace encoded as in a URL: use shorter ones, of at most ${MAX_SPACE} together`,
    );
  return space;
}
