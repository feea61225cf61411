import { beforeEach, describe, expect, it } from "vitest";
import { Starts } from "./starts.ts";
import { ManualClock } from "./testing/capture.ts";

let clock: ManualClock;
let starts: Starts;
let higher: number[];
let errors: string[];
beforeEach(() => {
  clock = new ManualClock();
  higher = [];
  errors = [];
  starts = new Starts({
    node: "n1",
    clock,
    onHigher: () => higher.push(starts.present),
    onError: (error) => errors.push(String(error)),
  });
});
const refuse = (by: number) => starts.refused(BigInt(starts.present), BigInt(starts.present + by));

// protocol.md D14
describe("the start of a process", () => {
  it("goes above a known one at once while it was never accepted", () => {
    const first = starts.present;
    refuse(3_600_000);
    expect(higher).toEqual([first + 3_600_001]);
    // What was said of the former start says nothing of this one, and a lower one is no reason.
    starts.refused(BigInt(first), BigInt(first + 9_000_000));
    refuse(-1);
    expect(higher).toHaveLength(1);
  });

  it("waits first if it was accepted, for it may have been replaced on purpose, and says so", () => {
    starts.accepted();
    refuse(1_000);
    refuse(2_000);
    expect([higher, errors.length]).toEqual([[], 1]);
    expect(errors[0]).toMatch(/another process speaks as node "n1".*stop one of them; .* in 30 s/);
    clock.advance(30_000);
    expect(higher).toHaveLength(1);
    refuse(1_000);
    clock.advance(30_000);
    expect(higher).toHaveLength(1);
    clock.advance(30_000);
    expect(higher).toHaveLength(2);
  });

  it("gives up after some times: two processes do not take the node from each other for ever", () => {
    for (let turn = 0; turn < 20; turn++) {
      refuse(1_000);
      clock.advance(24 * 3_600_000);
    }
    expect([higher.length, errors.length]).toEqual([8, 5]);
    expect(errors.at(-1)).toMatch(/for the last time/);
  });

  it("does nothing more when it is stopped", () => {
    starts.accepted();
    refuse(1_000);
    starts.stop();
    clock.advance(60_000);
    expect(higher).toEqual([]);
  });
});
