/** Properties that are refused, each with what is wrong, what it is and what to use. */
import { App, Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import { describe, expect, it } from "vitest";
import { Weir, type WeirProps } from "./construct.ts";

describe("properties that are wrong", () => {
  // Nothing looks at the functions: they are not bundled.
  const context = { "aws:cdk:bundling-stacks": [] };
  const stack = new Stack(new App({ analyticsReporting: false, context }), "Wrong");
  let number = 0;
  const refused = (props: WeirProps) => {
    try {
      new Weir(stack, `W${number++}`, props);
    } catch (error) {
      return (error as Error).message;
    }
    return "nothing";
  };

  it.each<[string, WeirProps, string]>([
    ["an empty prefix", { prefix: "" }, 'prefix is "": use 1 to 40 letters, digits, - and _'],
    ["a prefix with a dot", { prefix: "a.b" }, 'prefix is "a.b": use 1 to 40'],
    [
      "a prefix that leaves no room",
      { prefix: "x".repeat(41) },
      "(a queue's name has 80, of which 40 are taken",
    ],
    // protocol.md R17
    [
      "a prefix within another one's action queues",
      { prefix: "weir-action-x" },
      'prefix is "weir-action-x": use one without "-action-" that does not end in "-action"',
    ],
    [
      "a prefix whose own queues are within another one's",
      { prefix: "weir-action" },
      'the capture nodes of a coordinator with the prefix "weir" could reach its queues',
    ],
    [
      "a property that does not exist",
      { maxConcurrency: 5 } as WeirProps,
      "maxConcurrency is not known: use prefix, removalPolicy, ",
    ],
    [
      "removal by snapshot",
      { removalPolicy: RemovalPolicy.SNAPSHOT },
      'removalPolicy is "snapshot": use RETAIN or',
    ],
    [
      "one maintainer",
      { maximumConcurrency: 1 },
      "maximumConcurrency is 1: use a whole number from 2 to 1000",
    ],
    [
      "fewer maintainers kept than may be at work",
      { reservedConcurrency: 5 },
      "reservedConcurrency is 5 and maximumConcurrency 10: reserve at least as many",
    ],
    [
      "more maintainers started than kept",
      { reservedConcurrency: 10, provisionedConcurrency: 11 },
      "provisionedConcurrency is 11 and reservedConcurrency 10: reserve at least as many",
    ],
    [
      "none started",
      { provisionedConcurrency: 0 },
      "provisionedConcurrency is 0: use a whole number from 1 to 10000",
    ],
    ["half a megabyte", { memorySize: 512.5 }, "memorySize is 512.5: use a whole number from 256 to 10240"],
    ["too little memory", { memorySize: 128 }, "memorySize is 128: use a whole number from 256"],
    [
      "pollers and concurrency",
      { maximumConcurrency: 10, provisionedPollers: {} },
      "maximumConcurrency and provisionedPollers exclude each other: leave one of them out",
    ],
    [
      "one poller",
      { provisionedPollers: { minimum: 1 } },
      "provisionedPollers.minimum is 1: use a whole number from 2 to 200",
    ],
    [
      "3000 pollers",
      { provisionedPollers: { maximum: 3000 } },
      "provisionedPollers.maximum is 3000: use a whole number from 2 to 2000",
    ],
    [
      "a maximum below the minimum",
      { provisionedPollers: { minimum: 9, maximum: 3 } },
      "use a maximum that is not lower",
    ],
    [
      "an alarm after a second",
      { oldestBarrierAlarm: Duration.seconds(1) },
      "oldestBarrierAlarm is 1 second: use at least a minute",
    ],
    [
      "subnets without a vpc",
      { vpcSubnets: {} },
      "vpcSubnets is given without vpc: name the vpc, or leave it out",
    ],
    [
      "an account that is none",
      { senderAccounts: ["1234"] },
      'senderAccounts holds "1234": use account ids, twelve digits',
    ],
    [
      "a changefeed that retires at once",
      { retireAfter: Duration.days(1) },
      "retireAfter is 1 day: use whole days, at least two, or none for never",
    ],
    [
      "a scheduler's queue elsewhere",
      { prefix: "a", schedulerQueue: "b-action-s" },
      'schedulerQueue is "b-action-s": use the name (not the URL) of a queue that starts with "a-action-"',
    ],
  ])("%s", (_, props, message) => {
    expect(refused(props)).toContain(message);
  });

  it.each(["weir-action-blue", "weir-action"])(
    "the stack's name %s, which the dead-letter queue begins with",
    (name) => {
      const within = new Stack(new App({ analyticsReporting: false }), name);
      expect(() => new Weir(within, "Weir", { prefix: "blue" })).toThrow(
        `the stack is named "${name}": use a name without "-action-"`,
      );
    },
  );

  it("but a prefix with the word in it is none of them", () => {
    for (const prefix of ["action", "my-actions", "re-actionable"])
      expect(refused({ prefix })).toBe("nothing");
  });

  it("all at once, with where they are", () => {
    expect(refused({ prefix: "!", memorySize: 1 })).toMatch(
      /^Weir at "Wrong\/W\d+":\n {2}prefix is .*\n {2}memorySize is /,
    );
  });
});
