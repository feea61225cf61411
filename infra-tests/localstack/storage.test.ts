/** The storage's contract on the S3 of LocalStack, which looks at the conditions of writes itself: the same suite as on the embedded one. */
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll } from "vitest";
import { storageContract } from "../../src/dispatcher/storage/testing/contract.ts";
import type { S3Server } from "../../src/dispatcher/storage/testing/s3.ts";
import { s3Contract } from "../../src/dispatcher/storage/testing/s3-contract.ts";
import { Account } from "./account.ts";
import { startLossy } from "./lossy.ts";
import { progress } from "./progress.ts";
import { clientConfig, readTarget } from "./target.ts";

const target = readTarget();
const bucket = `${target.prefix}-storage`;
let server: S3Server;
let runs = 0;

beforeAll(async () => {
  const client = new S3Client({ ...clientConfig(target.endpoint), forcePathStyle: true });
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  client.destroy();
  server = await startLossy(target.endpoint);
});
afterAll(async () => {
  await server.stop();
  const account = new Account(target.endpoint);
  await account.deleteBuckets(bucket);
  account.close();
});

progress("the storage's contract on LocalStack's S3");
const s3 = () => clientConfig(server.url);
storageContract("S3 of LocalStack", () => `s3://${bucket}/run-${++runs}/x`, s3);
s3Contract("S3 of LocalStack itself", bucket, () => server, s3);
