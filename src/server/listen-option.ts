/** A listener that cannot be opened is named by its port's option: there are several, and only the user knows them by name. */
import { PosternError } from "../core/base/failure.ts";

export function withOption(error: unknown, option: string): unknown {
  if (!(error instanceof PosternError)) return error;
  return new PosternError(error.code, `${error.message} This port is that of ${option}.`, { cause: error });
}
