import { decode, type Encoding, type MessageOf, type MessageType } from "../../src/protocol/codec.ts";
import type { EventKey } from "../../src/protocol/event-key.ts";
import type { DispatcherID, State, TableSpanBlockStatus } from "../../src/protocol/messages.ts";

/** So many messages are on their way at a time, about. */
const KEPT = 1_000;
const read = new Map<string, unknown>();

/**
 * Like `decode`, for those who watch: several look at a message, when it is sent and when it is gone, and change nothing
 * of it.
 */
export function readMessage<T extends MessageType>(type: T, encoding: Encoding, body: string): MessageOf<T> {
  const key = `${type} ${encoding} ${body}`;
  let message = read.get(key) as MessageOf<T> | undefined;
  if (message === undefined) {
    message = decode(type, encoding, body);
    if (read.size === KEPT) read.delete(read.keys().next().value!);
    read.set(key, message);
  }
  return message;
}

/** The event that a state is about. */
export function keyOf(state: State): EventKey {
  return { commitTs: state.BlockTs, isSyncPoint: state.IsSyncPoint };
}

/** A dispatcher's name: its id as 32 hex digits. */
export function idOf({ high, low }: Pick<DispatcherID, "high" | "low">): string {
  return high.toString(16).padStart(16, "0") + low.toString(16).padStart(16, "0");
}

/** Whose report it is: one dispatcher's, or several in one. */
export function livesOf(status: TableSpanBlockStatus): { id: string; life: bigint }[] {
  const one = status.ID ? [{ id: idOf(status.ID), life: status.life }] : [];
  const many = status.dispatcherIDs.map((id, index) => ({
    id: idOf(id),
    life: status.lives[index]!,
  }));
  return [...one, ...many];
}
