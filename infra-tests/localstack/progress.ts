const VARIABLE = "WEIR_LOCALSTACK_STARTED_AT";
/** The processes of a run have one clock. */
process.env[VARIABLE] ??= String(Date.now());
const startedAt = Number(process.env[VARIABLE]);

/** Says what is being done now, and for how long the run has been going on. */
export function progress(text: string): void {
  const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
  process.stdout.write(`[${seconds.padStart(6)} s] ${text}\n`);
}
