/** What a capture node in TypeScript embeds. docs/capture-nodes.md is the protocol for all other languages. */
export { Dispatcher, type DispatcherConfig } from "./dispatcher.ts";
export { blocks, type CaptureEvent } from "./event.ts";
export { CaptureNode, type CaptureNodeOptions, type OpeningSchema } from "./node.ts";
export { type Clock, type QueueClient, systemClock } from "./ports.ts";
export { RegistrationRefused } from "./registrations.ts";
export type { Sink } from "./sink.ts";
export { SqsQueues } from "./sqsqueues.ts";
export { StorageSink } from "./storagesink.ts";
