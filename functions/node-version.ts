import { WeirError } from "../src/error/weir-error.ts";

/** The version of Node.js that the functions are built for (cdk/functions.ts). */
const NEEDED = 24;

/**
 * An older one has not all of the language that the functions use: they would start, and fail on some messages only.
 * @param version as `process.versions.node`
 * @throws Error that says what is needed
 */
export function checkNode(version: string): void {
  if (Number.parseInt(version, 10) < NEEDED)
    throw new WeirError(
      "node-too-old",
      `Weir's functions need Node.js ${NEEDED} and run on ${version}: use the runtime nodejs${NEEDED}.x, or, where functions run on the host, start it with Node.js ${NEEDED}`,
    );
}

checkNode(process.versions.node);
