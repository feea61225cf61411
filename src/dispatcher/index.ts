/** What a capture node in TypeScript embeds. docs/capture-nodes.md is the protocol for all other languages. */
export { type DispatcherKey, dispatcherKey } from "../barrier/dispatcher-key.ts";
export { ERROR_CODES, type ErrorCode, type ErrorMeaning, WeirError } from "../error/weir-error.ts";
export type { Encoding } from "../protocol/encoding.ts";
export type { EventKey } from "../protocol/event-key.ts";
export type { ChangefeedId, DispatcherState, Mode } from "./changefeed.ts";
export type { DispatcherConfig } from "./config.ts";
export {
  DispatcherClosed,
  EarlierFailed,
  MessageRefused,
  NoAnswer,
  NodeStopped,
  OverlappingCall,
  QueueGone,
  RegistrationRefused,
  StillBusy,
  UnknownSender,
  UnsafeQueue,
} from "./errors.ts";
export {
  type AddedTable,
  blocks,
  type CaptureEvent,
  type DispatcherIdentity,
  type InfluencedTables,
  type RouteAdmission,
  type SchemaChange,
} from "./event.ts";
export type { Dispatcher, Standing } from "./hosted.ts";
export { CaptureNode } from "./node.ts";
export type { CaptureNodeOptions, OpeningSchema } from "./options.ts";
export {
  type Clock,
  type QueueClient,
  type QueueMessage,
  type ReceivedMessage,
  systemClock,
} from "./ports.ts";
export type { ScheduledDispatcher, ScheduleOperator, ScheduleRequest } from "./schedule.ts";
export type { Sink } from "./sink.ts";
export { SqsQueues, type SqsQueuesOptions } from "./sqs-queues.ts";
export { StorageTaken } from "./storage/errors.ts";
export type { StoredFile } from "./storage/files.ts";
export type { DateSeparator, StorageLayout } from "./storage/layout.ts";
export { type OpenedStorage, openStorage } from "./storage/open.ts";
export type { S3Options } from "./storage/s3-files.ts";
export {
  type StorageColumn,
  type StorageDefinition,
  type StorageFiles,
  type StoragePayload,
  type StorageRow,
  StorageSink,
  type StorageSinkOptions,
  writeCheckpoint,
} from "./storage-sink.ts";
