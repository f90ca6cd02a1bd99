/** A system call's refusal as an error that looks like Node's own. */
import { getSystemErrorName } from "node:util";

export class SystemError extends Error {
  /** `EADDRINUSE` and the like. */
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  /** `errno`: positive, as errno.h has it. */
  constructor(syscall: string, errno: number) {
    const code = getSystemErrorName(-errno);
    super(`${syscall} ${code}`);
    this.name = "SystemError";
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
  }
}

/** A result that cannot be used, thrown; any other as it is. */
export function orThrow(syscall: string, result: number): number {
  if (result < 0) throw new SystemError(syscall, -result);
  return result;
}
