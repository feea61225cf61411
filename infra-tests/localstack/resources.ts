import {
  CloudFormationClient,
  DescribeStackResourcesCommand,
  GetTemplateCommand,
  type StackResource,
} from "@aws-sdk/client-cloudformation";
import { clientConfig, type Target } from "./target.ts";

/** What CloudFormation made of the template. */
export class Resources {
  readonly #all: readonly StackResource[];
  /** The template as it was deployed. */
  readonly template: Readonly<Record<string, { Type: string; Properties: Record<string, unknown> }>>;

  constructor(all: readonly StackResource[], template: Resources["template"]) {
    this.#all = all;
    this.template = template;
  }

  static async read({ endpoint, stackName }: Target): Promise<Resources> {
    const client = new CloudFormationClient(clientConfig(endpoint));
    const [resources, template] = await Promise.all([
      client.send(new DescribeStackResourcesCommand({ StackName: stackName })),
      client.send(new GetTemplateCommand({ StackName: stackName })),
    ]);
    client.destroy();
    return new Resources(resources.StackResources ?? [], JSON.parse(template.TemplateBody!).Resources);
  }

  get all(): readonly StackResource[] {
    return this.#all;
  }

  /** The physical id of the one resource of a type whose logical id holds `name`. @throws if it is not one */
  idOf(type: string, name: string): string {
    const found = this.idsOf(type, name);
    if (found.length !== 1) throw new Error(`the stack has ${found.length} resources ${type} ${name}`);
    return found[0]!;
  }

  /** The physical ids of all resources of a type. */
  idsOf(type: string, name = ""): string[] {
    return this.#all
      .filter((one) => one.ResourceType === type && one.LogicalResourceId!.includes(name))
      .map((one) => one.PhysicalResourceId!);
  }
}
