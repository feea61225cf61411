import type { RosterMeta } from "../../barrier/roster.ts";
import { grantCount, type Phase, type Step } from "../../barrier/step.ts";
import {
  type FormerEpoch,
  NOTHING_CLOSED,
  type Root,
  type RootChanges,
  type RootConditions,
} from "../../maintainer/base/port.ts";
import { itemBytes } from "./item-size.ts";
import { pointersFrom, pointersText } from "./pointer-text.ts";
import { B, type Item, integer, long, N, S, SS, strings, text, Update } from "./values.ts";

/**
 * The root as an item. `steps` is a map of barriers by key, each with `phase` and `grants` (what conditions look at) and
 * `rest` (everything else of the step as JSON, and its event in `event`).
 */
export function rootFrom(item: Item | undefined): Root | undefined {
  if (item === undefined) return undefined;
  const steps = new Map<string, Step>();
  // In the order of keys, that is of events: DynamoDB keeps none.
  for (const [key, value] of Object.entries(item["steps"]?.M ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)))
    steps.set(key, stepFrom(value.M!));
  return {
    epoch: long(item["epoch"]),
    rosterVersion: integer(item["rosterVersion"]),
    meta: metaFrom(text(item["meta"])),
    pointers: pointersFrom(text(item["pointers"])),
    closedCount: integer(item["closedCount"]),
    closedUpTo: item["closedUpTo"]?.S,
    floor: item["floor"]?.S ?? NOTHING_CLOSED,
    expiredUpTo: item["expiredUpTo"]?.S ?? NOTHING_CLOSED,
    former: formerFrom(text(item["former"])),
    heard: integer(item["heard"]),
    retired: item["retired"] !== undefined,
    pending: [...strings(item["pending"])].sort(),
    steps,
    bytes: itemBytes(item),
  };
}

/** A whole root as an item, without its keys. */
export function rootItem(root: Root, token: string): Item {
  const steps: Item = {};
  for (const [key, step] of root.steps) steps[key] = { M: stepItem(step) };
  return {
    commit: S(token),
    epoch: N(root.epoch),
    rosterVersion: N(root.rosterVersion),
    meta: S(metaText(root.meta)),
    pointers: S(pointersText(root.pointers)),
    closedCount: N(root.closedCount),
    ...(root.closedUpTo !== undefined && { closedUpTo: S(root.closedUpTo) }),
    ...(root.floor !== NOTHING_CLOSED && { floor: S(root.floor), expiredUpTo: S(root.expiredUpTo) }),
    ...(root.former.length > 0 && { former: S(formerText(root.former)) }),
    ...(root.heard > 0 && { heard: N(root.heard) }),
    ...(root.retired && { retired: N(1) }),
    ...(root.pending.length > 0 && { pending: SS(root.pending) }),
    steps: { M: steps },
  };
}

/** The clauses of `RootConditions` as DynamoDB conditions; what each protects stands there. */
const CLAUSES: {
  readonly [K in keyof RootConditions]-?: (update: Update, wanted: NonNullable<RootConditions[K]>) => string;
} = {
  sameEpoch: (update, epoch) => `${update.name("epoch")} = ${update.value(N(epoch))}`,
  epochIsNew: (update, epoch) => {
    const name = update.name("epoch");
    return `attribute_not_exists(${name}) OR ${name} < ${update.value(N(epoch))}`;
  },
  sameRoster: (update, version) => `${update.name("rosterVersion")} = ${update.value(N(version))}`,
  sameStep: (update, { key, phase, grants }) => {
    const step = `${update.name("steps")}.${update.name(key)}`;
    return (
      `${step}.${update.name("phase")} = ${update.value(S(phase))}` +
      ` AND ${step}.${update.name("grants")} = ${update.value(N(grants))}`
    );
  },
  notOpenYet: (update, key) => `attribute_not_exists(${update.name("steps")}.${update.name(key)})`,
  nothingClosedSince: (update, count) => `${update.name("closedCount")} = ${update.value(N(count))}`,
  aboveClosed: (update, key) => `${update.name("closedUpTo")} < ${update.value(S(key))}`,
  aboveFloor: (update, key) => {
    const name = update.name("floor");
    return `attribute_not_exists(${name}) OR ${name} < ${update.value(S(key))}`;
  },
  sameOpen: (update, keys) => {
    const steps = update.name("steps");
    return [
      `size(${steps}) = ${update.value(N(keys.length))}`,
      ...keys.map((key) => `attribute_exists(${steps}.${update.name(key)})`),
    ].join(" AND ");
  },
  notGrantedYet: (update, key) => {
    const step = `${update.name("steps")}.${update.name(key)}`;
    return (
      `attribute_not_exists(${step})` +
      ` OR (${step}.${update.name("phase")} = ${update.value(S("waiting"))}` +
      ` AND ${step}.${update.name("grants")} = ${update.value(N(0))})`
    );
  },
  sameHeard: (update, heard) =>
    heard === 0
      ? `attribute_not_exists(${update.name("heard")})`
      : `${update.name("heard")} = ${update.value(N(heard))}`,
  samePending: (update, keys) =>
    keys.length === 0
      ? `attribute_not_exists(${update.name("pending")})`
      : `${update.name("pending")} = ${update.value(SS(keys))}`,
};

/**
 * A conditional update of the root.
 * @param token names this attempt in the item, see `isOwnCommit`
 */
export function rootUpdate(conditions: RootConditions, changes: RootChanges, token: string): Update {
  const update = new Update();
  update.set(update.name("commit"), update.value(S(token)));
  for (const [clause, wanted] of Object.entries(conditions))
    if (wanted !== undefined) {
      const expression = CLAUSES[clause as keyof RootConditions] as (
        update: Update,
        wanted: unknown,
      ) => string;
      update.condition(expression(update, wanted));
    }
  if (changes.startEpoch !== undefined) startEpoch(update, changes);
  else {
    // An update without condition would make an item of the pieces that it names.
    update.condition(`attribute_exists(${update.name("epoch")})`);
    changeRoot(update, changes);
  }
  return update;
}

/**
 * Whether the root, which a failed condition gave back, is what this very attempt wrote: the first answer was lost, and
 * the SDK's repeat of the request met its own effect.
 */
export function isOwnCommit(item: Item | undefined, token: string): boolean {
  return item !== undefined && text(item["commit"]) === token;
}

/** A root of a new epoch: nothing of the one before stays. */
function startEpoch(update: Update, changes: RootChanges): void {
  const steps: Item = {};
  if (changes.step) steps[changes.step.key] = { M: stepItem(changes.step.step) };
  if (changes.open) steps[changes.open.key] ??= { M: stepItem(changes.open.step) };
  if (changes.remove !== undefined) delete steps[changes.remove];
  update.set(update.name("epoch"), update.value(N(changes.startEpoch!)));
  update.set(update.name("closedCount"), update.value(N(changes.countClosed ? 1 : 0)));
  update.set(update.name("closedUpTo"), update.value(S(changes.closedUpTo ?? NOTHING_CLOSED)));
  update.set(update.name("steps"), update.value({ M: steps }));
  for (const name of ["floor", "expiredUpTo"]) update.remove(update.name(name));
  setLife(update, { former: [], heard: 0, ...changes });
  setRoster(update, changes.roster!);
  if (changes.addPending !== undefined && changes.addPending !== changes.removePending)
    update.set(update.name("pending"), update.value(SS([changes.addPending])));
  else update.remove(update.name("pending"));
}

function changeRoot(update: Update, changes: RootChanges): void {
  const path = (key: string) => `${update.name("steps")}.${update.name(key)}`;
  if (changes.roster) setRoster(update, changes.roster);
  if (changes.step) update.set(path(changes.step.key), update.value({ M: stepItem(changes.step.step) }));
  if (changes.open) {
    const { key, step } = changes.open;
    update.set(path(key), `if_not_exists(${path(key)}, ${update.value({ M: stepItem(step) })})`);
  }
  if (changes.remove !== undefined) update.remove(path(changes.remove));
  if (changes.addPending !== undefined) update.add("pending", SS([changes.addPending]));
  if (changes.removePending !== undefined) update.delete("pending", SS([changes.removePending]));
  if (changes.countClosed) update.add("closedCount", N(1));
  if (changes.closedUpTo !== undefined)
    update.set(update.name("closedUpTo"), update.value(S(changes.closedUpTo)));
  if (changes.floor) {
    update.set(update.name("floor"), update.value(S(changes.floor.key)));
    update.set(update.name("expiredUpTo"), update.value(S(changes.floor.expiredUpTo)));
  }
  setLife(update, changes);
}

/** Earlier epochs, and what is known of who speaks for it. */
function setLife(update: Update, { former, heard, retired }: RootChanges): void {
  const set = (name: string, value: Item[string] | undefined) =>
    value === undefined
      ? update.remove(update.name(name))
      : update.set(update.name(name), update.value(value));
  if (former !== undefined) set("former", former.length > 0 ? S(formerText(former)) : undefined);
  if (heard !== undefined) set("heard", heard > 0 ? N(heard) : undefined);
  if (retired !== undefined) set("retired", retired ? N(1) : undefined);
}

function setRoster(update: Update, roster: NonNullable<RootChanges["roster"]>): void {
  update.set(update.name("rosterVersion"), update.value(N(roster.version)));
  update.set(update.name("meta"), update.value(S(metaText(roster.meta))));
  update.set(update.name("pointers"), update.value(S(pointersText(roster.pointers))));
}

interface StepRest extends Omit<Step, "phase" | "grants" | "event"> {
  readonly given: readonly { id: string; life: string; chunk: number; slot: number; node: string }[];
}

function stepItem(step: Step): Item {
  const { phase, grants, event, ...others } = step;
  const rest: StepRest = {
    ...others,
    given: grants.map((grant) => ({ ...grant, life: grant.life.toString() })),
  };
  return {
    phase: S(phase),
    grants: N(grantCount(step)),
    rest: S(JSON.stringify(rest)),
    ...(event && { event: B(event) }),
  };
}

function stepFrom(item: Item): Step {
  const { given, ...others } = JSON.parse(text(item["rest"])) as StepRest;
  return {
    ...others,
    phase: text(item["phase"]) as Phase,
    grants: given.map((grant) => ({ ...grant, life: BigInt(grant.life) })),
    event: item["event"]?.B,
  };
}

function metaText(meta: RosterMeta): string {
  const openings = meta.openings?.map((one) => ({ ...one, start: one.start.toString() }));
  const { forgotten, openedAt } = meta;
  return JSON.stringify({
    ...meta,
    ...(openedAt !== undefined && { openedAt: `${openedAt}` }),
    openedByStart: meta.openedByStart.toString(),
    ...(openings && { openings }),
    ...(forgotten && {
      forgotten: { ...forgotten, lives: `${forgotten.lives}`, starts: `${forgotten.starts}` },
    }),
  });
}

function metaFrom(stored: string): RosterMeta {
  const { trigger, openedByStart, openings, openedAt, forgotten, ...others } = JSON.parse(stored);
  const pending = openings?.map((one: { start: string }) => ({ ...one, start: BigInt(one.start) }));
  return {
    ...others,
    trigger,
    openedByStart: BigInt(openedByStart),
    ...(openedAt !== undefined && { openedAt: BigInt(openedAt) }),
    ...(pending && { openings: pending }),
    ...(forgotten && {
      forgotten: { ...forgotten, lives: BigInt(forgotten.lives), starts: BigInt(forgotten.starts) },
    }),
  };
}

/** `epoch.endedAt.upTo`, one after the other. */
function formerText(former: readonly FormerEpoch[]): string {
  return former.map(({ epoch, endedAt, upTo }) => `${epoch}.${endedAt}.${upTo}`).join(" ");
}

function formerFrom(stored: string): FormerEpoch[] {
  if (stored === "") return [];
  return stored.split(" ").map((one) => {
    const [epoch = "", endedAt = "", upTo = ""] = one.split(".");
    return { epoch: BigInt(epoch), endedAt: Number(endedAt), upTo };
  });
}
