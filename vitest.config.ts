import { defineConfig } from "vitest/config";

const TESTS = ["src/**/*.test.ts", "cdk/**/*.test.ts", "functions/**/*.test.ts", "infra-tests/**/*.test.ts"];
const LONG = "**/*.long.test.ts";
const NEVER = ["infra-tests/localstack/**", "node_modules/**"];

export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: "short", include: TESTS, exclude: [...NEVER, LONG] } },
      // What takes minutes: `npm run test:long`, which .ci/run runs too.
      { extends: true, test: { name: "long", include: [LONG], exclude: NEVER } },
    ],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
