/**
 * The messages of the protocol, generated from `heartbeatpb.proto`: types and schemas, under one name.
 * 64-bit integers are `bigint`; an absent message field is `undefined` and differs from an empty one.
 */
export * from "./heartbeatpb_pb.js";
