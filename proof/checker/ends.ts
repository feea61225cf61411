import { actorName, type Parts } from "./parts.ts";
import type { State } from "./state.ts";
import { keyWords } from "./wire.ts";

/** Whether nothing is under way: no invocation, no message, nobody at work. */
export function quiet({ actors, scenario }: Parts, state: State): boolean {
  return (
    state.flights.length === 0 &&
    state.queue.length === 0 &&
    state.actions.length === 0 &&
    state.actors.every(
      (one) =>
        one === 0 ||
        (actors.actors.value(one).doing === undefined && !(scenario.slowStreams && actors.mayArrive(one))),
    )
  );
}

/**
 * What is not as it should be in the end; empty: all barriers are closed and all dispatchers at their end.
 * @param resting whether nothing is under way, and time has still to pass. Then some may rest: a closed barrier in the
 *   root is left to the sweeper; and if an invocation died, a dispatcher whose table was dropped meanwhile, or that lacks
 *   only the ACK of a NONE, asks again (protocol.md D4)
 */
export function unfinished(parts: Parts, state: State, resting: boolean): string[] {
  const missing: string[] = [];
  for (const space of parts.spaces) {
    const root = parts.invariants.rootOf(state.store, space);
    if (root === undefined)
      missing.push(`the changefeed is not open, ${space.mode === 1n ? "redo" : "default"} mode`);
    for (const [key, step] of root?.steps ?? [])
      if (!resting || step.phase !== "closed")
        missing.push(`event ${keyWords(key)} is open, in phase ${step.phase}`);
    for (const key of root?.pending ?? [])
      missing.push(`event ${keyWords(key)} has still to change the roster`);
  }
  const { routed } = parts.scenario;
  const found = parts.invariants.routed(state.store, parts.spaces[0]!).sort().join(", ");
  if (routed && found !== routed.join(", ")) missing.push(`routes lead from ${found || "nowhere"}`);
  const { left } = state;
  const died = left.crashes < parts.faults.crashes || left.lostAnswers < parts.faults.lostAnswers;
  for (const one of state.actors)
    if (one !== 0 && !parts.actors.finished(one) && !(resting && died && asksAgain(parts, state, one)))
      missing.push(`${actorName(parts, one)} is not at its end`);
  const { aside } = parts.ghosts.get(state.ghost);
  for (const body of parts.malformed)
    if (!aside.includes(body)) missing.push(`I10: the message ${body} was not put aside`);
  return missing;
}

function asksAgain({ actors, invariants, spaces }: Parts, state: State, one: number): boolean {
  const { id, life, machine, member } = actors.actors.value(one);
  return (
    machine!.unacked.length > 0 || !invariants.stands(state.store, spaces[member.redo ? 1 : 0]!, id, life)
  );
}
