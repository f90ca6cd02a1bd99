/** Where a datapath has its program from. */
import { PosternError } from "../../../core/base/failure.ts";
import { Helper, HelperSession } from "./helper-client.ts";
import { LoadedProgram, type ProgramHolder } from "./loaded-program.ts";

export interface ProgramSource {
  /** Whether there may be one later when there is none now. */
  readonly canReturn: boolean;
  /** Whether another holder can take the place of one that has gone. */
  readonly isReplaceable: boolean;
  /** Undefined while it has been asked for and is not there yet. Never waits. Throws `SystemError` and `PosternError`. */
  next(): ProgramHolder | undefined;
  close(): void;
}

/** This process loads it, which takes a privilege. */
export function ownProgram(): ProgramSource {
  return { canReturn: false, isReplaceable: false, next: () => new LoadedProgram(), close: () => {} };
}

/** Who loads the program: this process, or a helper at a path or at the other end of a descriptor (`fd:3`). */
export function programSource(helper: string | undefined): ProgramSource {
  if (helper === undefined) return ownProgram();
  const inherited = /^fd:(\d+)$/.exec(helper)?.[1];
  return helpedProgram(inherited === undefined ? helper : Number(inherited));
}

/** The helper loads it. `at`: a path, or the descriptor of a connection. */
function helpedProgram(at: string | number): ProgramSource {
  const helper = new Helper(at);
  return {
    get canReturn() {
      return helper.canReturn;
    },
    isReplaceable: typeof at === "string",
    next: () => {
      const program = helper.open();
      return program && new HelperSession(program);
    },
    close: () => helper.close(),
  };
}

export function holderIsGone(isReplaceable: boolean): PosternError {
  const until = isReplaceable
    ? "until there is a helper again."
    : "until the service is restarted: the helper that was started with the daemon comes back only with it.";
  const why = `The helper has ended, and with it what the kernel forwarded: user space does, ${until}`;
  return new PosternError("offload-helper-gone", why);
}
