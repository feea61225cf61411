import { expect, it } from "vitest";
import { checkNode } from "./node-version.ts";

it.each(["20.19.4", "22.1.0", "9.0.0"])("refuses Node.js %s, and says what is needed", (version) => {
  expect(() => checkNode(version)).toThrow(
    `Weir's functions need Node.js 24 and run on ${version}: use the runtime`,
  );
});

it.each(["24.0.0", "26.3.1"])("takes Node.js %s", (version) => {
  expect(() => checkNode(version)).not.toThrow();
});
