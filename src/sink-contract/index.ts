/** What the author of a sink tests it with: `import { sinkContract } from "@weir-cdc/weir/testing"`. */
export { SinkContractBroken, type SinkHarness, type SinkRule, sinkContract } from "./contract.ts";
