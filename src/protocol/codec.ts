import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { fromBinary, fromJsonString, toBinary, toJsonString } from "@bufbuild/protobuf";
import { base64Decode, base64Encode } from "@bufbuild/protobuf/wire";
import { WeirError } from "../error/weir-error.ts";
import type { Encoding } from "./encoding.ts";
import {
  BlockStatusRequestSchema,
  HeartBeatRequestSchema,
  HeartBeatResponseSchema,
  MaintainerBootstrapResponseSchema,
  MaintainerPostBootstrapRequestSchema,
  ScheduleDispatcherRequestSchema,
} from "./messages.ts";

/** The message types that travel under a protobuf schema, by the value of the attribute `type`. */
export const schemas = {
  BlockStatusRequest: BlockStatusRequestSchema,
  HeartBeatRequest: HeartBeatRequestSchema,
  HeartBeatResponse: HeartBeatResponseSchema,
  MaintainerBootstrapResponse: MaintainerBootstrapResponseSchema,
  MaintainerPostBootstrapRequest: MaintainerPostBootstrapRequestSchema,
  ScheduleDispatcherRequest: ScheduleDispatcherRequestSchema,
} as const;

export type MessageType = keyof typeof schemas;
export type MessageOf<T extends MessageType> = MessageShape<(typeof schemas)[T]>;

export type { Encoding };

/** A body that cannot be understood. `message` says what is wrong, where, and what is expected instead. */
export class MalformedMessage extends WeirError {
  override readonly name = "MalformedMessage";

  constructor(message: string, options?: ErrorOptions) {
    super("bad-message", message, options);
  }
}

/**
 * Reads the attribute `encoding`; absent means JSON (protocol.md 1.1).
 * @throws MalformedMessage if it names another encoding
 */
export function parseEncoding(value: string | undefined): Encoding {
  if (value === undefined || value === "json") return "json";
  if (value === "protobuf") return "protobuf";
  throw new MalformedMessage(`attribute encoding is "${value}": use "json" or "protobuf"`);
}

/**
 * Decodes a body. Unknown fields are ignored, zero values may be absent (protocol.md 1.1).
 * @throws MalformedMessage if the body is not a message of this type in this encoding
 */
export function decode<T extends MessageType>(type: T, encoding: Encoding, body: string): MessageOf<T> {
  const schema: DescMessage = schemas[type];
  try {
    const message =
      encoding === "json"
        ? fromJsonString(schema, body, { ignoreUnknownFields: true })
        : fromBinary(schema, base64Decode(body));
    return message as MessageOf<T>;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const form = encoding === "json" ? "proto3 JSON" : "base64 protobuf";
    throw new MalformedMessage(`body is not a ${type} in ${form}: ${why}`, { cause });
  }
}

/** Encodes a message as proto3 JSON (64-bit integers as strings, zero values absent) or as base64 protobuf. */
export function encode<T extends MessageType>(type: T, encoding: Encoding, message: MessageOf<T>): string {
  const schema: DescMessage = schemas[type];
  return encoding === "json" ? toJsonString(schema, message) : base64Encode(toBinary(schema, message));
}
