/** Component states judged beside registrations that others commit: by the roster as it is (protocol.md R5 to R7). */
import { beforeEach, describe, expect, it } from "vitest";
import { ComponentState } from "../../protocol/messages.ts";
import { newMemory } from "../batch.ts";
import { d, node, World } from "../testing/world.ts";

const n1 = node("n1");
const n2 = node("n2");
const as = (principal: string, message: ReturnType<World["waiting"]>) => ({ ...message, principal });

let world: World;
const gone = () => as("AROA2", world.status(n2, d(10), 1n, ComponentState.Removed));
const registers = () => as("AROA2", world.registration(n2, [{ id: d(10), table: 10n }]));
const lives = async () => {
  const cold = newMemory();
  world.memory = cold;
  await world.handle(as("AROA1", world.status(n1, d(1), 1n, ComponentState.Working)));
  const { roster } = [...cold.spaces.values()][0]!;
  return [d(1), d(10)].filter((id) => roster!.find(id) !== undefined);
};

beforeEach(async () => {
  world = new World();
  await world.handle(
    as("AROA1", world.opening(n1, d(1), [{ id: 10n, schema: 1n }])),
    as("AROA1", world.registration(n1, [{ id: d(1), table: 0n }])),
  );
});

describe("an environment that remembers the roster of a moment ago", () => {
  beforeEach(async () => {
    await world.handleCold(registers());
  });

  it("takes a dispatcher out that has registered since", async () => {
    await world.handle(gone());
    expect(world.store.kept.size).toBe(0);
    expect(await lives()).toEqual([d(1)]);
  });

  it("refuses who speaks for a node that has registered since", async () => {
    await world.handle({ ...gone(), principal: "AROA3" });
    expect(world.store.kept.size).toBe(0);
    expect(world.deadLetters.map(({ reason }) => reason)).toEqual([
      expect.stringMatching(/sender AROA3 may not speak as node "n2", which AROA2 registered/),
    ]);
    expect(await lives()).toEqual([d(1), d(10)]);
  });
});

describe("a registration that is committed while a state of it is being kept", () => {
  it("does not leave the state behind", async () => {
    const others = [registers()];
    await world.handleHooked(async (when, method) => {
      if (when === "after" && method === "readKept")
        for (const message of others.splice(0)) await world.handleCold(message);
    }, gone());
    expect(others).toEqual([]);
    expect(world.store.kept.size).toBe(0);
    expect(await lives()).toEqual([d(1)]);
  });

  it("does not leave it behind either where it is the first of the changefeed", async () => {
    world = new World();
    const others = [registers()];
    await world.handleHooked(async (when, method) => {
      if (when === "after" && method === "readKept")
        for (const message of others.splice(0)) await world.handleCold(message);
    }, gone());
    expect(world.store.kept.size).toBe(0);
    expect(await lives()).toEqual([]);
  });
});
