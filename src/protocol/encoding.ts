/** How a body is written: proto3 JSON, or the base64 of the binary form (attribute `encoding`). */
export type Encoding = "json" | "protobuf";
