/** Code in the documentation is what it says: programs compile, JSON parses, commands and their options are there. */
import { execFile, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { Command } from "commander";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import manifest from "../package.json" with { type: "json" };
import { type At, allPages, type CodeBlock, parsePage, ROOT } from "./docs/pages.ts";
import { commandsIn, type Spoken, wordsIn } from "./docs/shell.ts";

const run = promisify(execFile);
const PAGES = allPages();
const blocksOf = (...languages: string[]): (At<CodeBlock> & { path: string })[] =>
  PAGES.flatMap(({ path, blocks }) =>
    blocks.filter(({ value }) => languages.includes(value.language)).map((block) => ({ path, ...block })),
  );

describe("JSON in the documentation", () => {
  it.each(blocksOf("json").map(({ path, line, value }) => [`${path}:${line}`, value.text]))(
    "%s parses",
    (_, text) => {
      expect(() => JSON.parse(text)).not.toThrow();
    },
  );
});

describe("TypeScript in the documentation", () => {
  const modules = join(ROOT, "node_modules", ".cache");
  mkdirSync(modules, { recursive: true });
  const folder = mkdtempSync(join(modules, "docs-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** @returns what tsc says of programs by file name, against the package as its sources are */
  async function typeCheck(programs: ReadonlyMap<string, string>): Promise<string[]> {
    for (const [name, text] of programs) writeFileSync(join(folder, name), text);
    const { name } = manifest;
    const paths = {
      [name]: [`${ROOT}src/dispatcher/index.ts`],
      [`${name}/cdk`]: [`${ROOT}cdk/index.ts`],
      [`${name}/testing`]: [`${ROOT}src/sink-contract/index.ts`],
    };
    const compilerOptions = { noEmit: true, noUnusedLocals: false, noUnusedParameters: false, paths };
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({
        extends: `${ROOT}tsconfig.json`,
        compilerOptions,
        include: [],
        files: [...programs.keys()],
      }),
    );
    const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
    const { stdout } = await run(process.execPath, [tsc, "-p", folder]).catch(
      (error) => error as { stdout: string },
    );
    return [...stdout.matchAll(/^.*?([\w.-]+\.ts)[(:](\d+).*?error (.*)$/gm)].map(
      ([, file, line, what]) => `${file}:${line} ${what}`,
    );
  }

  it("compiles as a program of a user's, and a wrong one does not", async () => {
    const programs = new Map(
      blocksOf("ts").map(({ path, line, value }) => [
        `${path.replaceAll(/[/.]/g, "-")}-${line}.ts`,
        value.text,
      ]),
    );
    expect(programs.size).toBeGreaterThan(2);
    programs.set(
      "wrong.ts",
      `import { CaptureNode } from "${manifest.name}";\nnew CaptureNode({ id: "n1" });\n`,
    );
    const said = await typeCheck(programs);
    expect(said.filter((one) => !one.startsWith("wrong.ts:2 "))).toEqual([]);
    expect(said.length).toBeGreaterThan(0);
  });
});

describe("Go in the documentation", () => {
  const blocks = blocksOf("go");
  const formatted = (text: string) => spawnSync("gofmt", { input: text, encoding: "utf8" });

  it.skipIf(formatted("").error !== undefined)("parses, and is formatted", () => {
    expect(blocks.length).toBeGreaterThan(2);
    for (const { path, line, value } of blocks) {
      const { stdout, stderr } = formatted(value.text);
      expect(`${stderr}${stdout}`, `${path}:${line}`).toBe(value.text);
    }
    expect(formatted("if {").status).not.toBe(0);
  });
});

describe("commands in the documentation", () => {
  const spoken: Spoken[] = PAGES.filter(({ path }) => !path.startsWith("docs/decisions/")).flatMap((page) =>
    commandsIn(page),
  );
  const weir = new Command("weir");
  beforeAll(async () => {
    for (const name of readdirSync(join(ROOT, "src/cli")).filter((one) => /^[a-z-]+\.ts$/.test(one))) {
      // The one that runs what it has.
      if (name === "main.ts") continue;
      const all: Record<string, unknown> = await import(`../src/cli/${name}`);
      for (const [key, register] of Object.entries(all))
        if (key.startsWith("register")) (register as (program: Command) => void)(weir);
    }
  });

  /** @returns what is wrong with a command; nothing, if it is not one of this repository's */
  function wrongWith([program = "", ...args]: readonly string[]): string[] {
    const options = args.filter((word) => word.startsWith("--")).map((word) => word.split("=")[0]!);
    if (program === "weir") {
      const [command = ""] = args;
      if (command.startsWith("-") || command === "") return [];
      const known = weir.commands.find((one) => one.name() === command);
      if (known === undefined) return [`no command ${command}`];
      return options.filter((one) => one !== "--help" && known.options.every(({ long }) => long !== one));
    }
    if (program === "npm" && args[0] === "run") {
      const script = (manifest.scripts as Record<string, string>)[args[1]!];
      if (script === undefined) return [`no script ${args[1]}`];
      const [, main] = /^node (\S+\.ts)/.exec(script) ?? [];
      if (main === undefined) return [];
      const source = readFileSync(join(ROOT, main), "utf8");
      return options.filter((one) => one !== "--" && !new RegExp(`"${one}[" ]`).test(source));
    }
    if (program === "npm") {
      const known = ["ci", "start", "test", "pack", "install", "publish"];
      return known.includes(args[0]!) ? [] : [`npm ${args[0]}`];
    }
    if (program === "vitest")
      return args
        .slice(1)
        .flatMap((path) => (path.startsWith("-") || existsSync(join(ROOT, path)) ? [] : [`no file ${path}`]));
    if (program === "npx") return [`npx ${args.join(" ")}`];
    return [];
  }

  it("are there, with their options", () => {
    expect(spoken.length).toBeGreaterThan(60);
    const wrong = spoken.flatMap(({ path, line, words }) =>
      wrongWith(words).map((what) => `${path}:${line}: ${what} (${words.join(" ")})`),
    );
    expect(wrong).toEqual([]);
  });

  it("are missed when they are not", () => {
    const missing = [
      "weir none",
      "weir barriers --none",
      "npm run none",
      "npm run check -- --none",
      "npm none",
    ];
    for (const one of [...missing, "vitest run none", "npx none"])
      expect(wrongWith(one.split(" ")), one).not.toEqual([]);
    const page = parsePage(
      "README.md",
      "Say `npx weir none`.\n\n```sh\nA=1 npx weir any # why\nnpm ci && npm run none\n```\n",
    );
    expect(commandsIn(page).map((one) => one.words.join(" "))).toEqual([
      "weir none",
      "weir any",
      "npm ci",
      "npm run none",
    ]);
    expect(wordsIn("a 'b c' # d")).toEqual(["a", "b c"]);
  });
});
