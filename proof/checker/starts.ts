import type { Flight } from "./invocations.ts";
import type { Parts } from "./parts.ts";
import { without } from "./state.ts";
import type { StateDraft } from "./state-draft.ts";
import type { Wire } from "./wire.ts";

/** An invocation with messages of the queue, which are taken out; `memory` undefined: in a cold environment. */
export function batchOf(draft: StateDraft, entries: readonly number[], memory: number | undefined): Flight {
  const { wire } = draft.parts;
  for (const entry of entries) draft.queue = without(draft.queue, entry);
  const messages = entries.map((entry) => wire.delivered(entry >> 1, (entry & 1) === 1));
  draft.say(() => {
    const where = memory === undefined ? "a cold environment" : "the warm environment";
    return `${startName(wire, "batch", messages)} begins, in ${where}`;
  });
  return draft.parts.invocations.begin({
    work: "batch",
    messages,
    memory: memory ?? draft.parts.invocations.nothing,
    nonce: nonceFor(draft, entries[0]! >> 1),
    settings: draft.parts.settings,
  });
}

export function sweepOf(draft: StateDraft): Flight {
  draft.say(() => "the sweeper begins");
  const { nothing } = draft.parts.invocations;
  const nonce = nonceFor(draft, 0);
  return draft.parts.invocations.begin({
    work: "sweep",
    messages: [],
    memory: nothing,
    nonce,
    settings: draft.parts.late,
  });
}

/** A name for an invocation that nothing which is still there was named by; made of its message, so that order does not count. */
function nonceFor(draft: StateDraft, content: number): string {
  const taken = new Set(draft.parts.stores.nonces(draft.store));
  for (const memory of draft.idle)
    for (const one of draft.parts.invocations.noncesOfMemory(memory)) taken.add(one);
  for (const value of draft.flights)
    for (const one of draft.parts.invocations.get(value >> 1).nonces) taken.add(one);
  for (let count = 0; ; count++) {
    const nonce = `i${content}x${count}`;
    if (!taken.has(nonce)) return nonce;
  }
}

export function flightName({ wire }: Parts, { start }: Flight): string {
  return startName(wire, start.work, start.messages);
}

function startName(
  wire: Wire,
  work: "batch" | "sweep",
  messages: readonly { messageId: string; receiveCount: number }[],
): string {
  if (work === "sweep") return "the sweeper";
  const words = messages.map(
    (one) => wire.words(Number(one.messageId.slice(1))) + (one.receiveCount > 1 ? ", again" : ""),
  );
  return `[${words.join("; ")}]`;
}
