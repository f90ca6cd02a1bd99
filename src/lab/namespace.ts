/**
 * A host of the lab: a network namespace, and a mount namespace with a file system of its own in memory. No
 * name on the host refers to them: a small process holds them open, and when it goes with us they are gone, with every
 * device, rule and file that was made in them.
 */
import { PosternError } from "../core/base/failure.ts";
import { Program, type ProgramOptions, run } from "./program.ts";

/**
 * Where a host may keep files. What was there is hidden from it, so this is a directory in which no checkout and no Node
 * can stand: under Windows' Linux they often stand in `/mnt`.
 */
export const ownFiles = "/sys/kernel";

const hold = `mount -t tmpfs tmpfs ${ownFiles} && ip link set lo up && echo ready && exec cat`;

export class Namespace {
  readonly name: string;
  readonly #holder: Program;
  readonly #programs: Set<Program> = new Set();

  /** Rejects with `PosternError` `lab-namespace` where that is not permitted. */
  static async open(name: string): Promise<Namespace> {
    const holder = await Program.start(["unshare", "--net", "--mount", "sh", "-c", hold], { input: "hold" });
    await holder.says("ready").catch((cause: Error) => {
      const why = `No network namespace could be made (${cause.message}): run the lab as root, with CAP_SYS_ADMIN.`;
      throw new PosternError("lab-namespace", why, { cause });
    });
    return new Namespace(name, holder);
  }

  private constructor(name: string, holder: Program) {
    this.name = name;
    this.#holder = holder;
  }

  /** By which other namespaces name it, as in `link set x netns PID`. */
  get pid(): number {
    return this.#holder.pid;
  }

  /** What a command is started through to run here. */
  get enter(): string[] {
    const at = `/proc/${this.pid}/ns`;
    return ["nsenter", `--net=${at}/net`, `--mount=${at}/mnt`, `--wd=${process.cwd()}`];
  }

  run(command: readonly string[], input?: string): Promise<string> {
    return run([...this.enter, ...command], input);
  }

  /** Lines for `ip -batch`. */
  async ip(...lines: readonly string[]): Promise<void> {
    await this.run(["ip", "-batch", "-"], `${lines.join("\n")}\n`);
  }

  async nft(rules: string): Promise<void> {
    await this.run(["nft", "-f", "-"], rules);
  }

  /** Settings that this kernel has not are passed over. */
  async set(...settings: readonly string[]): Promise<void> {
    await this.run(["sysctl", "-eqw", ...settings]);
  }

  /** Starts a program that ends with the namespace at the latest. */
  async start(command: readonly string[], options?: ProgramOptions): Promise<Program> {
    const program = await Program.start([...this.enter, ...command], options);
    this.#programs.add(program);
    void program.ended.then(() => this.#programs.delete(program));
    return program;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#programs].map((program) => program.stop("SIGKILL")));
    await this.#holder.stop("SIGKILL");
  }
}
