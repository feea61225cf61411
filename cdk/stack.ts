import { Stack, type StackProps } from "aws-cdk-lib";
import type { Construct } from "constructs";
import { Weir, type WeirProps } from "./construct.ts";

/** A stack that holds nothing but one coordinator. */
export class WeirStack extends Stack {
  readonly weir: Weir;

  constructor(scope: Construct, id: string, props: StackProps & WeirProps = {}) {
    super(scope, id, { description: "Weir: barriers for change data capture", ...props });
    this.weir = new Weir(this, "Weir", props);
  }
}
