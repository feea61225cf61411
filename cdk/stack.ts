import { Stack, type StackProps } from "aws-cdk-lib";
import type { Construct } from "constructs";
import { Weir } from "./construct.ts";
import type { WeirProps } from "./props.ts";

export const DESCRIPTION = "Weir: barriers for change data capture";

/** A stack that holds nothing but one coordinator. */
export class WeirStack extends Stack {
  readonly weir: Weir;

  constructor(scope: Construct, id: string, props: StackProps & WeirProps = {}) {
    super(scope, id, { description: DESCRIPTION, ...props });
    this.weir = new Weir(this, "Weir", props);
  }
}
