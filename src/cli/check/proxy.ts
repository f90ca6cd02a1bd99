/** Which HTTP proxy the caller means: the flag's, or the environment's, with the exceptions that it makes. */
import { parseIp } from "../../core/base/address.ts";
import { parseProxy } from "../../node/turn-client/http-proxy.ts";

/** For one host; undefined: none. */
export type ChooseProxy = (host: string) => string | undefined;

/** `flag`: a URL; false: none, whatever the environment says. Throws `PosternError` `bad-proxy`. */
export function chooseProxy(flag: string | false | undefined, env: NodeJS.ProcessEnv): ChooseProxy {
  if (flag === false) return () => undefined;
  if (flag !== undefined) {
    parseProxy(flag);
    return () => flag;
  }
  const given = env["https_proxy"] || env["HTTPS_PROXY"];
  if (!given) return () => undefined;
  const proxy = given.includes("://") ? given : `http://${given}`;
  parseProxy(proxy);
  const exceptions = (env["no_proxy"] ?? env["NO_PROXY"] ?? "").split(/[\s,]+/).filter((one) => one !== "");
  return (host) => (isExcepted(host, exceptions) ? undefined : proxy);
}

/** As curl has it: `*`, a name, or a domain with or without a dot in front. This very machine is never behind one. */
function isExcepted(host: string, exceptions: readonly string[]): boolean {
  const address = parseIp(host);
  if (host === "localhost" || host === "::1" || (address?.family === 4 && address.w3 >>> 24 === 127)) return true;
  return exceptions.some((one) => {
    const domain = one.replace(/^\./, "").toLowerCase();
    return one === "*" || host.toLowerCase() === domain || host.toLowerCase().endsWith(`.${domain}`);
  });
}
