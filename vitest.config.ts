import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "cdk/**/*.test.ts", "functions/**/*.test.ts", "infra-tests/**/*.test.ts"],
    exclude: ["infra-tests/localstack/**", "node_modules/**"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
