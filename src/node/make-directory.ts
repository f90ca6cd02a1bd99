/** Directories that may be there already. */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";

/** With those above it. Throws what the system says; where that is that nothing can be made, Node's own way never ends. */
export function makeDirectory(path: string, mode: number): void {
  if (make(path, mode)) return;
  makeDirectory(dirname(path), mode);
  mkdirSync(path, { mode });
}

/** Whether it is there now; false where the one above it is not. */
function make(path: string, mode: number): boolean {
  try {
    mkdirSync(path, { mode });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return true;
    if (code === "ENOENT" && dirname(path) !== path) return false;
    throw error;
  }
}
