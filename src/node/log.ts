/**
 * Where log lines go: a constant event name plus fields. pino's loggers have this shape. Addresses and user names
 * belong at debug or below; warn means that someone should look.
 */
export interface Log {
  trace(fields: object, event: string): void;
  debug(fields: object, event: string): void;
  info(fields: object, event: string): void;
  warn(fields: object, event: string): void;
  error(fields: object, event: string): void;
}

const nothing = (): void => {};

export const silentLog: Log = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };
