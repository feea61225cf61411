import { App, Stack } from "aws-cdk-lib";
import { Weir } from "./construct.ts";
import { propsFromContext } from "./context.ts";
import { DESCRIPTION } from "./stack.ts";

/** Deploys one coordinator: `npx cdk deploy`, with `-c NAME=VALUE` for the options of docs/deploy.md. */
const app = new App();
const name = (app.node.tryGetContext("stackName") as string | undefined) ?? "Weir";
const stack = new Stack(app, name, { description: DESCRIPTION });
new Weir(stack, "Weir", propsFromContext(stack));
