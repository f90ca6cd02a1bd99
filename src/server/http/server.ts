/** Listens for the HTTP app. */
import { createServer, type Server } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { type Address, formatAddress, formatIp } from "../../core/base/address.ts";
import { PosternError } from "../../core/base/failure.ts";
import { createHttpApp, type HttpAppOptions } from "./app.ts";

export interface HttpServer extends AsyncDisposable {
  readonly port: number;
  /** Ends idle connections at once and the others after their answer. */
  close(): Promise<void>;
}

/** Opens the HTTP port. Rejects with `PosternError` `http-busy` or `http-failed`. */
export async function serveHttp(address: Readonly<Address>, options: HttpAppOptions): Promise<HttpServer> {
  const server = createServer(
    { requestTimeout: 10_000, headersTimeout: 5_000, keepAliveTimeout: 5_000, maxHeaderSize: 8192 },
    getRequestListener(createHttpApp(options).fetch),
  );
  server.maxConnections = 256;
  await listen(server, address);
  const bound = server.address();
  const close = (): Promise<void> =>
    new Promise((done) => {
      server.close(() => done());
      server.closeIdleConnections();
    });
  return { port: typeof bound === "object" ? (bound?.port ?? 0) : 0, close, [Symbol.asyncDispose]: close };
}

function listen(server: Server, address: Readonly<Address>): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const at = formatAddress(address);
      reject(
        cause.code === "EADDRINUSE"
          ? new PosternError("http-busy", `The HTTP port ${at} is taken: choose another with --http-listen.`, { cause })
          : new PosternError("http-failed", `The HTTP port ${at} cannot be opened: ${cause.message}.`, { cause }),
      );
    });
    server.listen({ host: formatIp(address), port: address.port }, resolve);
  });
}
