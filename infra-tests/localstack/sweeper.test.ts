/** The rule starts the sweeper, and the sweeper goes on with what nobody else would. */
import { afterAll, expect, it } from "vitest";
import type { QueueClient } from "../../src/dispatcher/index.ts";
import { Deployed } from "./deployed.ts";
import { progress } from "./progress.ts";
import { between, withoutRepeats } from "./queues.ts";
import { readTarget } from "./target.ts";
import { until } from "./until.ts";
import { event, World } from "./world.ts";

/** The rule starts it once a minute; the first time may be a little later. */
const TWO_SWEEPS_MS = 130_000;

const deployed = new Deployed(readTarget());
afterAll(() => deployed.close());

it(
  "sends an action again that was lost, to a node that does not ask again",
  async () => {
    progress("an action gets lost, and its node keeps silent: only the sweeper can go on");
    let lost = 0;
    const loseOneAction = (real: QueueClient) =>
      between(withoutRepeats(real), {
        async receive(url, seconds, signal) {
          const kept = [];
          for (const message of await real.receive(url, seconds, signal))
            if (lost === 0 && message.body.includes('"action"')) {
              lost++;
              await real.delete(url, [message.receipt]);
            } else kept.push(message);
          return kept;
        },
      });
    const tables = [{ tableId: 220n, name: "t220" }];
    const schemas = [{ schemaId: 1n, name: "s", tables }];
    await using world = await World.start(deployed.target, {
      name: "sweep",
      nodes: 1,
      schemas,
      queues: loseOneAction,
    });
    const dispatchers = await world.table(220n, 1n, 2);
    const ddl = event(500n, { tables: [220n] });
    const met = Promise.all(dispatchers.map((dispatcher) => dispatcher.handle(ddl)));
    await until("the Write to be lost", () => lost === 1);
    expect(await deployed.phaseOf(world, ddl)).toBe("writing");
    progress("  waiting for the next full minute of the rule");
    await until(
      "the sweeper that the rule starts",
      () => world.about(ddl).some((one) => one.what === "write"),
      TWO_SWEEPS_MS,
    );
    await met;
    await deployed.closed(world, ddl);
    expect(world.about(ddl).map((entry) => entry.what)).toEqual(["flush", "flush", "write", "pass"]);
  },
  TWO_SWEEPS_MS + 120_000,
);
