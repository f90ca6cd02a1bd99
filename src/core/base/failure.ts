/**
 * What a caller did wrong, a bad configuration, or a refusal by the operating system. What the network sends is never
 * one of these: remote misbehaviour is a value.
 */
export class PosternError extends Error {
  /** Stable: programs decide by it, and it is kept from release to release. */
  readonly code: string;

  /** `message`: a sentence that says what to do. */
  constructor(code: string, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = "PosternError";
    this.code = code;
  }
}
