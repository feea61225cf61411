import { fromEnv } from "@aws-sdk/credential-provider-env";

/** Takes the place of `@aws-sdk/credential-provider-node`: Lambda gives a function its credentials by the environment only. */
export const defaultProvider = fromEnv;
