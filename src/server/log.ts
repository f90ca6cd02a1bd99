/** The daemon's log, on standard error: JSON for programs, lines for people on a terminal. */
import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from "pino";
import type { Config } from "./config/config.ts";

export type DaemonLog = Logger;

const standardError = 2;

async function stream(format: Config["logFormat"]): Promise<DestinationStream> {
  const isTerminal = process.stderr.isTTY === true;
  if (format === "json" || (format === "auto" && !isTerminal)) return destination({ dest: standardError, sync: true });
  const { default: pretty } = await import("pino-pretty");
  return pretty({
    destination: standardError,
    sync: true,
    messageKey: "event",
    colorize: isTerminal && !process.env.NO_COLOR,
    translateTime: "SYS:HH:MM:ss.l",
  });
}

export async function openLog({ logLevel, logFormat }: Pick<Config, "logLevel" | "logFormat">): Promise<DaemonLog> {
  const options = {
    level: logLevel,
    messageKey: "event",
    errorKey: "err",
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(options, await stream(logFormat));
}
