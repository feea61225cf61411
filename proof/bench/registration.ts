/** What the start of a changefeed and the move of one dispatcher cost, by the messages that nodes send. */
import { create } from "@bufbuild/protobuf";
import { type Fleet, type FleetNode, LIFE, type Member, type Shape } from "../../src/metered/fleet.ts";
import { MeteredWorld, ONE_BY_ONE, type Source } from "../../src/metered/metered-world.ts";
import { copy, since, total, type Usage } from "../../src/metered/standin/meter.ts";
import { encode, schemas } from "../../src/protocol/codec.ts";

/** Dispatchers in one registration, and tables in one part of an opening: below 256 KiB of JSON. */
const SPANS_PER_MESSAGE = 700;
const TABLES_PER_PART = 4_000;

export interface StartRow {
  readonly shape: Shape;
  readonly messages: number;
  readonly source: Source;
  /** How often an invocation lost a race for the roster and tried again. */
  readonly retries: number;
  /** Messages that an invocation gave back, to come again after the visibility timeout. */
  readonly cameAgain: number;
  /** By the clock of the simulation: until all are registered. */
  readonly ms: number;
  readonly requests: number;
  readonly usage: Usage;
}

/** Opens a changefeed and registers all its dispatchers. */
export async function countStart(
  of: Shape,
  source: Source,
  onRequest?: MeteredWorld["onRequest"],
  onStart?: (simulation: MeteredWorld) => void,
): Promise<StartRow> {
  const simulation = new MeteredWorld(of, source);
  onStart?.(simulation);
  simulation.onRequest = onRequest;
  const [fleet] = simulation.fleets as [Fleet];
  const messages = [...openings(fleet), ...registrations(fleet)];
  for (const { node, type, body, attributes } of messages)
    simulation.deliver(simulation.message(node, type, body, attributes));
  await simulation.clock.idle();
  const root = await simulation.port.readRoot(fleet.space);
  const chunks = await simulation.port.readChunks(fleet.space, root!.pointers);
  const lives = chunks.reduce(
    (sum, chunk) => sum + (chunk?.kind === "dispatchers" ? chunk.lives.length : 0),
    0,
  );
  if (lives !== of.dispatchers + 1) throw new Error(`${lives} dispatchers are registered`);
  return {
    shape: of,
    messages: messages.length,
    source,
    retries: simulation.retries,
    cameAgain: simulation.cameAgain,
    ms: simulation.clock.now,
    requests: total(simulation.usage.dynamodb),
    usage: simulation.usage,
  };
}

export interface MoveRow {
  readonly dispatchers: number;
  readonly requests: number;
  readonly usage: Usage;
}

/** One dispatcher registers on another node with a higher life, in an environment that knows the roster. */
export async function countMove(of: Shape): Promise<MoveRow> {
  const simulation = await MeteredWorld.running(of, ONE_BY_ONE);
  const [fleet] = simulation.fleets as [Fleet];
  const before = copy(simulation.usage);
  const [from, to] = fleet.nodes as [FleetNode, FleetNode];
  const body = registrationOf(fleet, [{ member: from.members[0]!, index: 0 }], LIFE + 1n);
  simulation.deliver(
    simulation.message(to, "MaintainerBootstrapResponse", body, {
      replyQueue: to.queue,
      nodeQueue: to.queue,
    }),
  );
  await simulation.clock.idle();
  const usage = since(before, simulation.usage);
  return { dispatchers: of.dispatchers, requests: total(usage.dynamodb), usage };
}

/** A node says in two heartbeats at a time that something is wrong, in an environment that knows the roster. */
export async function countErrors(of: Shape): Promise<readonly Usage[]> {
  const simulation = await MeteredWorld.running(of, ONE_BY_ONE);
  const [fleet] = simulation.fleets as [Fleet];
  const [node] = fleet.nodes as [FleetNode];
  const usages: Usage[] = [];
  for (const message of ["no route to the sink", "still none"]) {
    const before = copy(simulation.usage);
    const request = create(schemas.HeartBeatRequest, { changefeedID: fleet.changefeed, err: { message } });
    simulation.deliver(
      simulation.message(node, "HeartBeatRequest", encode("HeartBeatRequest", "json", request), {}),
    );
    await simulation.clock.idle();
    usages.push(since(before, simulation.usage));
  }
  return usages;
}

interface Outgoing {
  readonly node: FleetNode;
  readonly type: string;
  readonly body: string;
  readonly attributes: Record<string, string>;
}

function openings(fleet: Fleet): Outgoing[] {
  const tables = fleet.tables();
  const [node] = fleet.nodes as [FleetNode];
  const parts = Math.ceil(tables.length / TABLES_PER_PART);
  return Array.from({ length: parts }, (_, index) => {
    const Tables = tables
      .slice(index * TABLES_PER_PART, (index + 1) * TABLES_PER_PART)
      .map((TableID) => ({ TableID, TableName: `orders_${TableID}` }));
    const body = encode(
      "MaintainerPostBootstrapRequest",
      "json",
      create(schemas.MaintainerPostBootstrapRequest, {
        changefeedID: fleet.changefeed,
        tableTriggerEventDispatcherId: fleet.trigger.id,
        schemas: [{ SchemaID: 1n, SchemaName: "shop", Tables }],
        maintainerEpoch: 1n,
      }),
    );
    const attributes = { replyQueue: node.queue, part: String(index + 1), parts: String(parts) };
    return { node, type: "MaintainerPostBootstrapRequest", body, attributes };
  });
}

function registrations(fleet: Fleet): Outgoing[] {
  let index = 0;
  return fleet.nodes.flatMap((node) => {
    const all = node.members.map((member) => ({ member, index: member === fleet.trigger ? -1 : index++ }));
    // With queues of their own each dispatcher's answers have another address, which is said once a message.
    const perMessage = fleet.shape.queues === "node" ? SPANS_PER_MESSAGE : 1;
    const messages: Outgoing[] = [];
    for (let from = 0; from < all.length; from += perMessage) {
      const part = all.slice(from, from + perMessage);
      const body = registrationOf(fleet, part, LIFE);
      const attributes = { replyQueue: part[0]!.member.queue, nodeQueue: node.queue };
      messages.push({ node, type: "MaintainerBootstrapResponse", body, attributes });
    }
    return messages;
  });
}

function registrationOf(
  fleet: Fleet,
  spans: readonly { readonly member: Member; readonly index: number }[],
  life: bigint,
): string {
  return encode(
    "MaintainerBootstrapResponse",
    "json",
    create(schemas.MaintainerBootstrapResponse, {
      changefeedID: fleet.changefeed,
      maintainerEpoch: 1n,
      spans: spans.map(({ member, index }) => {
        const { tableId, start, end } = fleet.span(index);
        return {
          ID: member.id,
          SchemaID: index < 0 ? 0n : 1n,
          span: { TableID: tableId, StartKey: start, EndKey: end },
          checkpointTs: 1n,
          life,
        };
      }),
    }),
  );
}
