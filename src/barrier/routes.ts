import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { RouteTableAdmissionAction, type State, StateSchema } from "../protocol/messages.ts";
import { InvalidState } from "./event.ts";

/** A source table whose rows go to a target table: with table routing the two have different names (protocol.md M23). */
export interface Route {
  readonly sourceSchema: string;
  readonly sourceTable: string;
  readonly targetSchema: string;
  readonly targetTable: string;
}

/** What an event does to the routes, in the order in which it lists them. */
export type RouteChange =
  | ({ readonly action: "admit" } & Route)
  | ({ readonly action: "release" } & Pick<Route, "sourceSchema" | "sourceTable">)
  | { readonly action: "release-schema"; readonly sourceSchema: string };

/** The routes that are admitted: no two of them have the same target. */
export interface Routes {
  /** By `sourceName`. */
  readonly bySource: ReadonlyMap<string, Route>;
  /** By `targetName`. */
  readonly byTarget: ReadonlyMap<string, Route>;
}

/** Names as map keys: a name may hold any character. */
export const sourceName = (route: Pick<Route, "sourceSchema" | "sourceTable">) =>
  JSON.stringify([route.sourceSchema, route.sourceTable]);
export const targetName = (route: Pick<Route, "targetSchema" | "targetTable">) =>
  JSON.stringify([route.targetSchema, route.targetTable]);

/**
 * The route changes that a state of the table trigger brings. Redo and syncpoints have none (protocol.md M23).
 * @throws InvalidState if one lacks a name or has an unknown action
 */
export function routeChangesOf(state: State): RouteChange[] {
  if (state.IsSyncPoint) return [];
  return state.RouteTableAdmissions.map((one, index) => {
    const where = `RouteTableAdmissions[${index}]`;
    const name = (field: "SourceSchemaName" | "SourceTableName" | "TargetSchemaName" | "TargetTableName") => {
      if (one[field] === "") throw new InvalidState(`${where}: ${field} is absent`);
      return one[field];
    };
    const sourceSchema = name("SourceSchemaName");
    switch (one.Action) {
      case RouteTableAdmissionAction.ADMIT:
        return {
          action: "admit",
          sourceSchema,
          sourceTable: name("SourceTableName"),
          targetSchema: name("TargetSchemaName"),
          targetTable: name("TargetTableName"),
        };
      case RouteTableAdmissionAction.RELEASE:
        return { action: "release", sourceSchema, sourceTable: name("SourceTableName") };
      case RouteTableAdmissionAction.RELEASE_SCHEMA:
        return { action: "release-schema", sourceSchema };
      default:
        throw new InvalidState(
          `${where}: Action ${one.Action} is unknown: use ADMIT, RELEASE or RELEASE_SCHEMA`,
        );
    }
  });
}

/** A state's route changes as bytes, to be kept beside its event; empty if it brings none. */
export function routeBytes(state: State): Uint8Array {
  if (routeChangesOf(state).length === 0) return new Uint8Array();
  return toBinary(StateSchema, create(StateSchema, { RouteTableAdmissions: state.RouteTableAdmissions }));
}

/** The inverse of `routeBytes`. */
export function routesFromBytes(bytes: Uint8Array): RouteChange[] {
  return routeChangesOf(fromBinary(StateSchema, bytes));
}

/** What changes would come to: the routes to put and those to take out, or whose targets collide. */
export type RoutePlan =
  | { readonly put: readonly Route[]; readonly removed: readonly Route[] }
  | { readonly conflict: string };

/**
 * Tries changes on the routes as they are. Two sources with one target are a conflict: their rows would be mixed downstream
 * without a word (ticdc.md T7). Nothing is changed here.
 */
export function planRoutes(routes: Routes, changes: readonly RouteChange[]): RoutePlan {
  const bySource = new Map(routes.bySource);
  const byTarget = new Map(routes.byTarget);
  const release = (route: Route | undefined) => {
    if (route === undefined) return;
    bySource.delete(sourceName(route));
    byTarget.delete(targetName(route));
  };
  for (const change of changes) {
    if (change.action === "release") release(bySource.get(sourceName(change)));
    else if (change.action === "release-schema") {
      for (const route of [...bySource.values()])
        if (route.sourceSchema === change.sourceSchema) release(route);
    } else {
      const { action: _, ...route } = change;
      const holder = byTarget.get(targetName(route));
      if (holder !== undefined && sourceName(holder) !== sourceName(route))
        return { conflict: conflictText(route, holder) };
      release(bySource.get(sourceName(route)));
      bySource.set(sourceName(route), route);
      byTarget.set(targetName(route), route);
    }
  }
  const same = (a: Route | undefined, b: Route) => a !== undefined && targetName(a) === targetName(b);
  return {
    put: [...bySource.values()].filter((route) => !same(routes.bySource.get(sourceName(route)), route)),
    removed: [...routes.bySource.values()].filter((route) => !bySource.has(sourceName(route))),
  };
}

function conflictText(wanted: Route, holder: Route): string {
  const source = (route: Route) => `${route.sourceSchema}.${route.sourceTable}`;
  return (
    `${source(wanted)} and ${source(holder)} would both go to ${wanted.targetSchema}.${wanted.targetTable}: ` +
    "give one of them another target, and open the changefeed with a higher maintainer_epoch"
  );
}
