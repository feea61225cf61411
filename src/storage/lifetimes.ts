/**
 * How long tombstones, tallies and kept messages stay: longer than the 14 days that SQS can keep a message, so that the
 * latest copy of a report still finds them (design.md I9).
 */
export const KEEP_SECONDS = 15 * 24 * 3600;
/** Superseded chunk versions stay for invocations that still read them: an hour is many times a function's timeout. */
export const SUPERSEDED_SECONDS = 3600;
