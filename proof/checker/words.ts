/** Words for what happens, so that a person can follow a trace. */
import type { BarrierResult, Root, RootResult, Tally } from "../../src/maintainer/base/port.ts";
import type { Request } from "../../src/maintainer/base/program.ts";
import type { Change } from "./scenario.ts";
import { keyWords } from "./wire.ts";

export function operationWords({ method, args }: Request): string {
  switch (method) {
    case "readRoot":
      return "reads the root";
    case "readChunks":
      return `reads roster chunks ${args[1].map((one) => `${one.id}.${one.version}`).join(", ")}`;
    case "putChunks":
      return `writes roster chunks ${args[1].map(({ pointer }) => `${pointer.id}.${pointer.version}`).join(", ")}`;
    case "expireChunks":
      return `lets roster chunks ${args[1].map((one) => `${one.id}.${one.version}`).join(", ")} expire`;
    case "readBarrier":
      return `reads barrier ${keyWords(args[0].key)}`;
    case "readTallies":
      return `reads the tallies of ${args[1]} of ${keyWords(args[0].key)}`;
    case "touchTally": {
      const [{ key }, count, chunk, { add, stamp }] = args;
      const what = add ? `adds slots ${add.join(", ")} to` : "touches";
      const stamped = stamp === undefined ? "" : `, stamp ${stamp}`;
      return `${what} the tally of ${count} of ${keyWords(key)}, chunk ${chunk}${stamped}`;
    }
    case "touchBarrier": {
      const [{ key }, conditions, changes] = args;
      return `writes barrier ${keyWords(key)}: ${listed(changes)}${on(conditions)}`;
    }
    case "commitRoot": {
      const [, conditions, changes] = args;
      return `writes the root: ${rootWords(changes)}${on(conditions)}`;
    }
    case "send":
      return `sends ${args[0].length} ${args[0].length === 1 ? "message" : "messages"}`;
    case "deadLetter":
      return `puts a message aside: ${args[0].reason}`;
    default:
      return method;
  }
}

function on(conditions: object): string {
  const names = Object.entries(conditions)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) =>
      name === "sameRoster" || name === "nothingClosedSince" ? `${name} ${value}` : name,
    );
  return names.length === 0 ? "" : `, if ${names.join(", ")}`;
}

function listed(changes: object): string {
  return Object.entries(changes)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => {
      if (Array.isArray(value)) return `${name} ${value.join(" ")}`;
      return typeof value === "number" ? `${name} ${name === "sentAt" ? "now" : value}` : name;
    })
    .join(", ");
}

function rootWords(changes: Extract<Request, { method: "commitRoot" }>["args"][2]): string {
  const words: string[] = [];
  if (changes.startEpoch !== undefined) words.push(`epoch ${changes.startEpoch} starts`);
  if (changes.roster) words.push(`roster version ${changes.roster.version}`);
  for (const what of ["open", "step"] as const) {
    const change = changes[what];
    if (change)
      words.push(`${keyWords(change.key)} ${what === "open" ? "opens" : "goes to"} ${change.step.phase}`);
  }
  if (changes.addPending) words.push(`${keyWords(changes.addPending)} is to change the roster`);
  if (changes.removePending) words.push(`${keyWords(changes.removePending)} has changed the roster`);
  if (changes.remove) words.push(`${keyWords(changes.remove)} leaves`);
  return words.join(", ") || "nothing that is known here";
}

/** What an operation gave, as far as it says something. */
export function answerWords(value: unknown): string {
  if (typeof value !== "object" || value === null)
    return `-> ${value === undefined ? "nothing there" : String(value)}`;
  if ("committed" in value) {
    const { committed, root } = value as RootResult;
    return committed ? `-> done; ${stateWords(root)}` : `-> a condition fails; ${stateWords(root)}`;
  }
  if ("done" in value) {
    const { done, item } = value as BarrierResult;
    if (item === undefined) return "-> done";
    const { waiting, passed, stamp, tombstone } = item;
    return `-> ${done ? "done" : "a condition fails"}; waiting {${[...waiting]}} passed {${[...passed]}} stamp ${stamp}${tombstone ? ", tombstone" : ""}`;
  }
  if ("reported" in value) {
    const { reported, stamp } = value as Tally;
    return `-> slots {${[...reported]}} stamp ${stamp}`;
  }
  if ("rosterVersion" in value) return `-> ${stateWords(value as Root)}`;
  return "-> done";
}

function stateWords(root: Root | undefined): string {
  if (root === undefined) return "no root";
  const steps = [...root.steps].map(([key, step]) => `${keyWords(key)} ${step.phase}`);
  const pending = root.pending.length > 0 ? `, pending ${root.pending.map(keyWords).join(" ")}` : "";
  return `roster ${root.rosterVersion}, open: ${steps.join(", ") || "none"}${pending}`;
}

export function changeWords(change: Change): string {
  const from = "from" in change ? (change.from === "start" ? ", from its start" : ", from where it was") : "";
  switch (change.does) {
    case "move":
      return `${change.who} moves to node ${change.to}${from}`;
    case "restart": {
      const without = change.without ? `, without ${change.without.join(" and ")}` : "";
      return `node ${change.node} starts again${without}${from}`;
    }
    case "register":
      return `node ${change.node} registers its dispatchers once more`;
    case "reopen":
      return "the changefeed is to be opened again";
    case "replace":
      return `${change.by.map((one) => one.name).join(" and ")} replace ${change.who.join(" and ")}${from}`;
    case "leave":
      return `${change.who} leaves`;
  }
}
