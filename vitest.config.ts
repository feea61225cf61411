import { defineConfig } from "vitest/config";

const TESTS = ["src/**/*.test.ts", "proof/**/*.test.ts", "functions/**/*.test.ts"];
const STACK = ["cdk/**/*.test.ts", "infra-tests/**/*.test.ts"];
const LONG = "**/*.long.test.ts";
const NEVER = ["infra-tests/localstack/**", "node_modules/**"];

export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: "short", include: TESTS, exclude: [...NEVER, LONG] } },
      // CDK takes seconds to warm up: these files share its processes.
      {
        extends: true,
        test: { name: "short-stack", include: STACK, exclude: [...NEVER, LONG], isolate: false },
      },
      // What takes minutes: `npm run test:long`, which .ci/run runs too.
      { extends: true, test: { name: "long", include: [LONG], exclude: NEVER } },
    ],
    // They only end what hangs: no test is about how long it takes, and a busy machine takes long.
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
