/**
 * How long tallies, positions and kept messages stay, and tombstones after the floor has passed them. Nothing is wrong when they
 * are gone earlier (protocol.md M19): longer than the 14 days that SQS can keep a message, so that little is done twice.
 */
export const KEEP_SECONDS = 15 * 24 * 3600;
/** Superseded chunk versions stay for invocations that still read them: an hour is many times a function's timeout. */
export const SUPERSEDED_SECONDS = 3600;
