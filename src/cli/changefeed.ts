/** What commands that change a changefeed have in common: which one, and who did it. */
import { randomUUID } from "node:crypto";
import { userInfo } from "node:os";
import type { Space } from "../maintainer/space.ts";
import type { Table } from "../storage/dynamodb/table.ts";
import { S } from "../storage/dynamodb/values.ts";
import { Problem } from "./problem.ts";

/** @throws Problem if there is not exactly one, of that name if one is given */
export function chosenSpace(spaces: readonly Space[], changefeed: string | undefined): Space {
  const chosen = spaces.filter((space) => changefeed === undefined || space.text === changefeed);
  if (chosen.length === 1) return chosen[0]!;
  const names = spaces.map((space) => `\n  ${space.text}`).join("");
  throw new Problem(
    `name one changefeed with --changefeed; there ${spaces.length === 1 ? "is" : "are"}:${names}`,
  );
}

/** Who did what to a changefeed, and when, stays with it. */
export async function audit(
  table: Pick<Table, "put">,
  space: Space,
  now: number,
  what: Readonly<Record<string, string>>,
): Promise<void> {
  const values = Object.entries({ by: userInfo().username, ...what }).map(([name, value]) => [
    name,
    S(value),
  ]);
  await table.put(
    { pk: `${space.text}#AUDIT`, sk: `${new Date(now).toISOString()} ${randomUUID()}` },
    Object.fromEntries(values),
  );
}
