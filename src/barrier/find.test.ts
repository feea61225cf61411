import fc from "fast-check";
import { expect, it } from "vitest";
import { ComponentState } from "../protocol/messages.ts";
import { RosterDraft } from "./draft.ts";
import { EMPTY_META, type Place, Roster } from "./roster.ts";

/** A roster of several chunks in which every third life was replaced by one at the end, or ended. */
function rosterOf(lives: number): Roster {
  const add = (draft: RosterDraft, index: number, life: bigint) =>
    draft.addLife({
      id: index.toString(16).padStart(32, "0"),
      life,
      node: `n${index % 2}`,
      queue: "q",
      tableId: BigInt(index + 1),
      schemaId: 1n,
      start: new Uint8Array(),
      end: new Uint8Array(),
      state: ComponentState.Working,
      stateAt: 0,
      since: 0n,
      schemaSince: 0n,
    });
  let roster = new Roster(0, EMPTY_META, []);
  const apply = (change: (draft: RosterDraft) => void) => {
    const draft = new RosterDraft(roster, 0, 1_000);
    change(draft);
    const chunks = new Map([...roster.chunks, ...draft.finish().map((chunk) => [chunk.id, chunk] as const)]);
    roster = new Roster(draft.version, draft.meta, chunks.values());
  };
  apply((draft) => {
    for (let index = 0; index < lives; index++) add(draft, index, 1n);
  });
  apply((draft) => {
    for (let index = 0; index < lives; index += 3)
      if (index % 2 === 0) add(draft, index, 2n);
      else draft.endLife(index.toString(16).padStart(32, "0"), 1n);
  });
  return roster;
}

it("a dispatcher is found in whatever order they are looked for", () => {
  const roster = rosterOf(1_000);
  const places = new Map<string, Place>();
  for (const chunk of roster.dispatchers)
    for (const life of chunk.lives) places.set(life.id, { chunk, life });
  expect(roster.dispatchers.length).toBeGreaterThan(2);
  const runs = fc.array(fc.record({ from: fc.nat(1_010), length: fc.nat(450) }), { maxLength: 12 });
  fc.assert(
    fc.property(runs, (wanted) => {
      for (const { from, length } of wanted)
        for (let index = from; index < from + length; index++) {
          const id = index.toString(16).padStart(32, "0");
          const found = roster.find(id);
          expect(found?.life).toBe(places.get(id)?.life);
          expect(found?.chunk).toBe(places.get(id)?.chunk);
        }
    }),
    { numRuns: 30 },
  );
});
