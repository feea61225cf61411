/** The published package as somebody has it who installed it, without a registry. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MODULES = join(ROOT, "node_modules");
/** What is packed from, but for what `files` in package.json names. */
const SOURCES = [
  "package.json",
  "LICENSE",
  "README.md",
  "tsconfig.json",
  "src",
  "functions",
  "cdk",
  "release",
];

export interface Manifest {
  readonly files: readonly string[];
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
}

/** Packs a copy of the repository, with what is in its working tree now. @param folder an empty one @returns the tarball */
export function pack(folder: string): string {
  const copy = join(folder, "repository");
  const { files } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Manifest;
  for (const name of new Set([...SOURCES, ...files.filter((one) => one !== "dist")]))
    cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  symlinkSync(MODULES, join(copy, "node_modules"));
  run("npm", ["pack", "--pack-destination", folder], copy);
  const [name, ...others] = readdirSync(folder).filter((one) => one.endsWith(".tgz"));
  if (name === undefined || others.length > 0) throw new Error(`packed: ${readdirSync(folder).join(" ")}`);
  return join(folder, name);
}

/**
 * A project in which the package is installed, with the packages that it asks for and no others: what it uses without asking
 * for it is not found.
 */
export class Project {
  readonly folder: string;
  readonly package: string;
  readonly manifest: Manifest;

  /** @param more what the project itself depends on */
  constructor(folder: string, tarball: string, more: (manifest: Manifest) => readonly string[] = () => []) {
    this.folder = folder;
    this.package = join(folder, "node_modules", "@weir-cdc", "weir");
    mkdirSync(this.package, { recursive: true });
    run("tar", ["-xzf", tarball, "-C", this.package, "--strip-components=1"], folder);
    this.manifest = JSON.parse(readFileSync(join(this.package, "package.json"), "utf8")) as Manifest;
    for (const name of [...Object.keys(this.manifest.dependencies), ...more(this.manifest)]) {
      const link = join(folder, "node_modules", name);
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync(join(MODULES, name), link);
    }
    this.write("package.json", JSON.stringify({ name: "theirs", private: true, type: "module" }));
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text);
  }

  /** All files of the package. */
  get files(): string[] {
    return readdirSync(this.package, { recursive: true, withFileTypes: true })
      .filter((one) => one.isFile())
      .map((one) => join(one.parentPath, one.name).slice(this.package.length + 1));
  }

  /** @returns what tsc says of files of the project; the types of what they import are looked at as well */
  typeCheck(...files: string[]): string {
    const compilerOptions = {
      ...{ target: "ES2024", lib: ["ES2024", "ESNext.Disposable"], module: "NodeNext", types: ["node"] },
      ...{ strict: true, noEmit: true, skipLibCheck: false },
    };
    this.write("tsconfig.json", JSON.stringify({ compilerOptions, files }));
    const tsc = join(MODULES, "typescript", "bin", "tsc");
    try {
      return execFileSync(process.execPath, [tsc, "-p", "."], { cwd: this.folder, encoding: "utf8" });
    } catch (error) {
      return (error as { stdout: string }).stdout;
    }
  }
}

/** The one TypeScript program in a page of the documentation that imports the package. */
export function programIn(page: string): string {
  const text = readFileSync(join(ROOT, "docs", page), "utf8");
  const programs = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, program]) => program!);
  const [program, ...others] = programs.filter((one) => /from "@weir-cdc\/weir(\/cdk)?"/.test(one));
  if (program === undefined || others.length > 0) throw new Error(`${page}: ${1 + others.length} programs`);
  return program;
}

/** @throws with what the command has said, if it fails */
function run(command: string, args: readonly string[], cwd: string): void {
  execFileSync(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
}
