import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { RegistrationRefused } from "../dispatcher/errors.ts";
import { codeOf, ERROR_CODES, WeirError } from "./weir-error.ts";

describe("an error of Weir's own", () => {
  it("is told apart by its code, whatever its class and its message", () => {
    const error = new RegistrationRefused("dispatcher 1: its table was dropped");
    expect(error).toBeInstanceOf(WeirError);
    expect([error.name, codeOf(error)]).toEqual(["RegistrationRefused", "registration-refused"]);
    expect(codeOf(new Error("of somebody else"))).toBeUndefined();
  });

  it("has a code that docs/errors.md lists with its meaning and what to do, and no other is listed", () => {
    const page = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
    const listed = [...page.matchAll(/^\| `([a-z-]+)` \| (.*) \| (.*) \|$/gm)].map(
      ([, code, means, remedy]) => [code, { means, remedy }],
    );
    expect(Object.fromEntries(listed)).toEqual(ERROR_CODES);
    expect(listed).toHaveLength(Object.keys(ERROR_CODES).length);
  });
});
