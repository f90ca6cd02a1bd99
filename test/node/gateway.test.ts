import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { endianness } from "node:os";
import { describe, test } from "node:test";
import { formatIp, parseIp } from "../../src/core/base/address.ts";
import { unknown } from "../../src/core/stun/behavior/report.ts";
import { defaultGateway, gatewayInRoutes } from "../../src/node/gateway.ts";
import { gatewayAddress } from "../../src/node/gateway-address.ts";

const header =
  "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT                                                       \n";

/** Words as this machine's kernel writes them. */
function word(ip: string): string {
  const bytes = ip.split(".").map(Number);
  if (endianness() === "LE") bytes.reverse();
  return Buffer.from(bytes).toString("hex").toUpperCase();
}

function route(
  name: string,
  destination: string,
  gateway: string,
  flags: string,
  metric: number,
  mask: string,
): string {
  return `${[name, word(destination), word(gateway), flags, 0, 0, metric, word(mask), 0, 0, 0].join("\t")}     \n`;
}

const any = "0.0.0.0";
const table = [
  header,
  route("eth0", any, "192.168.1.1", "0003", 100, any),
  route("eth0", any, "192.168.1.254", "0003", 50, any),
  route("wlan0", any, "10.0.0.138", "0003", 600, any),
  route("eth0", "192.168.1.0", any, "0001", 100, "255.255.255.0"),
  route("eth1", "10.8.0.0", "10.7.0.1", "0003", 0, "255.255.0.0"),
  route("tun0", any, "10.8.0.5", "0003", 0, "128.0.0.0"),
  route("ppp0", any, any, "0001", 0, any),
  route("old0", any, "172.16.0.1", "0002", 0, any),
].join("");

describe("the default gateway, from /proc/net/route", () => {
  const gateway = (name: string) => {
    const found = gatewayInRoutes(table, name);
    return found && formatIp(found);
  };

  test("as the kernel of a little-endian machine writes it", { skip: endianness() !== "LE" }, () => {
    const line = `${header}eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0   \n`;
    assert.equal(formatIp(gatewayInRoutes(line, "eth0")!), "192.0.2.1");
  });

  test("of several, the one with the least metric; of this interface alone", () => {
    assert.equal(gateway("eth0"), "192.168.1.254");
    assert.equal(gateway("wlan0"), "10.0.0.138");
    assert.equal(gateway("eth0:1"), "192.168.1.254", "an address with a label of its own");
  });

  test("no default route is none: another network, half of the Internet, a link without a gateway, one that is down", () => {
    for (const name of ["eth1", "tun0", "ppp0", "old0", "eth2", "Iface", ""])
      assert.equal(gateway(name), undefined, name);
    for (const text of ["", header, "eth0\n", "eth0\tgarbage\tgarbage\tgarbage\n"]) {
      assert.equal(gatewayInRoutes(text, "eth0"), undefined);
    }
  });

  test("of an address that no interface holds, and of IPv6, nothing is told", async () => {
    assert.equal(await defaultGateway(parseIp("192.0.2.99")!), undefined);
    const address = parseIp("2001:db8::1")!;
    assert.equal(await defaultGateway(address, [{ address, name: "eth0", loopback: false }]), undefined);
  });

  test("of an address that is here, what the system says", { skip: !existsSync("/proc/net/route") }, async () => {
    const address = parseIp("127.0.0.1")!;
    assert.equal(await defaultGateway(address), undefined, "loopback has no gateway");
    assert.equal(await defaultGateway(address, []), undefined);
  });
});

describe("its external address", () => {
  const local = parseIp("127.0.0.1")!;

  test("a gateway that is not private is never asked", async () => {
    for (const text of ["127.0.0.1", "100.64.0.1", "8.8.8.8", "192.0.2.1"]) {
      const asked = await gatewayAddress({ local, gateway: parseIp(text)! });
      assert.deepEqual(asked, unknown("gateway-not-private"), text);
    }
  });

  test("without a gateway nobody is asked", async () => {
    assert.deepEqual(await gatewayAddress({ local }), unknown("no-gateway"));
  });

  test("the signal ends it", async () => {
    const stop = new AbortController();
    const gateway = parseIp("10.255.255.254")!;
    const asking = gatewayAddress({ local, gateway, signal: stop.signal });
    stop.abort(new Error("enough"));
    await assert.rejects(asking, /enough/);
    await assert.rejects(gatewayAddress({ local, gateway, signal: stop.signal }), /enough/);
  });
});
