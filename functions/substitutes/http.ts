/**
 * Takes the place of `import("node:http")`. As an ES module it is asked for all of its exports, one of which loads Node's fetch.
 * Only endpoints that are no https need it: those of this machine.
 */
const http = process.getBuiltinModule("node:http");
export const { Agent, request } = http;
export default http;
