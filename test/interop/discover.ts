/** Started in a namespace: discovers the NAT, and prints the report as JSON. Arguments: local address, options as JSON. */
import { parseIp } from "../../src/core/base/address.ts";
import { discoverNat } from "../../src/node/nat-discovery.ts";

const [local = "", server = "", options = "{}"] = process.argv.slice(2);
const [, host = "", port] = /^\[?(.+?)\]?:(\d+)$/.exec(server) ?? [];
const report = await discoverNat({
  local: parseIp(local)!,
  servers: [parseIp(host, Number(port))!],
  timing: { rto: 100, count: 4, lastWait: 800 },
  ...JSON.parse(options),
});
console.log(JSON.stringify(report));
