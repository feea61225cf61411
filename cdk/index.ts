/** What a stack of one's own needs: `import { Weir } from "@weir-cdc/weir/cdk"`. */
export { type ProvisionedPollers, Weir, type WeirProps } from "./construct.ts";
