/**
 * List prices of us-east-1 in USD, without free tiers, as the services' price pages name them. The one place that a change
 * of prices is entered.
 */
export const PRICES = {
  /** DynamoDB on demand, standard table class. */
  dynamodb: {
    /** A write of up to 1 KB; a failed condition too. */
    writeUnit: 0.625e-6,
    /** A strongly consistent read of up to 4 KB. */
    readUnit: 0.125e-6,
    storedGbMonth: 0.25,
    /** Point-in-time recovery, for each GB of the table. */
    recoveryGbMonth: 0.2,
  },
  /** SQS standard queues: a request for each 64 KB that a call carries. */
  sqs: { request: 0.4e-6 },
  /** Lambda on arm64. */
  lambda: { request: 0.2e-6, gbSecond: 0.0000133334 },
  cloudwatch: {
    ingestedGb: 0.5,
    /** A custom metric; billed by the hour in which it is sent. */
    metricMonth: 0.3,
  },
  xray: { trace: 5e-6 },
} as const;

export const HOURS_PER_MONTH = 730;
export const GB = 1024 ** 3;
