/** A tunnel through an HTTP proxy (RFC 9110 §9.3.6), for networks that let nothing else out. */
import { request } from "node:http";
import { isIPv6, type Socket } from "node:net";
import { PosternError } from "../../core/base/failure.ts";

export interface HttpProxy {
  readonly host: string;
  readonly port: number;
  /** `user:password` in base64; undefined: none. */
  readonly authorization: string | undefined;
}

/** Parses `http://user:password@proxy.example:3128`. Throws `PosternError` `bad-proxy`. */
export function parseProxy(text: string): HttpProxy {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:" || url.hostname === "" || url.pathname.length > 1) {
    throw new PosternError("bad-proxy", `"${hideUser(text)}" is no HTTP proxy such as http://proxy.example:3128.`);
  }
  const { username, password, hostname, port } = url;
  const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return {
    host: hostname.replace(/^\[|\]$/g, ""),
    port: port === "" ? 80 : Number(port),
    authorization: username === "" ? undefined : Buffer.from(user).toString("base64"),
  };
}

/** Credentials belong in no message. */
function hideUser(text: string): string {
  return text.replace(/[^/]*@/, "");
}

/** A connection to `host:port` through the proxy. Rejects with `PosternError` `proxy-refused`, or what the system says. */
export function connectThrough(proxy: HttpProxy, host: string, port: number, signal: AbortSignal): Promise<Socket> {
  const authority = `${isIPv6(host) ? `[${host}]` : host}:${port}`;
  const headers: Record<string, string> = { Host: authority };
  if (proxy.authorization !== undefined) headers["Proxy-Authorization"] = `Basic ${proxy.authorization}`;
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const asked = request({ host: proxy.host, port: proxy.port, method: "CONNECT", path: authority, headers, signal });
  const refuse = (status: number | undefined): void => {
    const advice = status === 407 ? "it wants a user name and a password" : `it answers ${status}`;
    reject(new PosternError("proxy-refused", `The proxy does not connect to ${authority}: ${advice}.`));
  };
  asked.once("connect", (response, socket, head) => {
    // RFC 9110 §9.3.6: any 2xx is a tunnel.
    if (response.statusCode === undefined || Math.floor(response.statusCode / 100) !== 2) {
      socket.destroy();
      return refuse(response.statusCode);
    }
    if (head.length > 0) socket.unshift(head);
    resolve(socket as Socket);
  });
  asked.once("response", (response) => {
    response.destroy();
    refuse(response.statusCode);
  });
  asked.once("error", reject);
  asked.end();
  return promise;
}
