/** The commands around the daemon: what they print, and what they say when they are used wrongly. */
import assert from "node:assert/strict";
import {
  chmod,
  chown,
  constants,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { version } from "../../src/server/version.ts";
import { runChild, startChild } from "../support/child.ts";
import { cleanEnvironment, postern } from "../support/daemon.ts";
import { requireForeign, requirePeer, requirePrivilege } from "../support/peers.ts";
import { makeTestCertificates } from "../support/test-ca.ts";

let home: string;
before(async () => {
  home = await mkdtemp(join(tmpdir(), "postern-commands-"));
});
after(() => rm(home, { recursive: true }));

async function run(
  args: readonly string[],
  { input, env = {} }: { input?: string; env?: Record<string, string> } = {},
) {
  const child = await startChild(postern(...args), {
    env: { ...cleanEnvironment, XDG_DATA_HOME: home, ...env },
    holdInput: input !== undefined,
  });
  if (input !== undefined) {
    child.write(input);
    child.closeInput();
  }
  const { code } = await child.ended();
  return { code, output: child.output() };
}

test("--version and --help", async () => {
  assert.deepEqual(await run(["--version"]), { code: 0, output: `${version}\n` });
  const { code, output } = await run(["--help"]);
  assert.equal(code, 0);
  for (const command of ["serve", "credentials", "user", "config"])
    assert.match(output, new RegExp(`^  ${command} `, "m"));
  assert.match((await run(["serve", "--help"])).output, /--relay-ports <MIN-MAX>/);
});

test("a mistyped command or flag is recognised", async () => {
  const command = await run(["serv"]);
  assert.equal(command.code, 1);
  assert.match(command.output, /Did you mean serve\?/);
  assert.match((await run(["serve", "--relay-prots", "1-2"])).output, /Did you mean --relay-ports\?/);
});

test("--print-config is the effective configuration, and starts nothing", async () => {
  const env = { POSTERN_REALM: "from-env", POSTERN_SHARED_SECRETS: "a-secret-in-the-environment" };
  const { code, output } = await run(
    ["serve", "--print-config", "--channels", "9", "--allow-peers", "10.0.0.0/8,::1"],
    { env },
  );
  assert.equal(code, 0);
  assert.match(output, /^realm: from-env$/m);
  assert.match(output, /^channels: 9$/m);
  assert.match(output, /^allow-peers:\n {2}- 10\.0\.0\.0\/8\n {2}- ::1\/128$/m);
  assert.match(output, /^shared-secrets:\n {2}- "\[secret\]"$/m);
  assert.ok(!output.includes("a-secret"));
  assert.equal((await run(["config", "print"], { env })).output.includes("realm: from-env"), true);
});

test("config check tells every mistake and exits 1", async () => {
  assert.deepEqual(await run(["config", "check"]), { code: 0, output: "" });
  const { code, output } = await run(["config", "check", "--udp-port", "0", "--realm", ""]);
  assert.equal(code, 1);
  assert.match(output, /2 mistakes/);
  const together = await run(["config", "check", "--shards", "2", "--datapath", "dgram"]);
  assert.equal(together.code, 1);
  assert.match(together.output, /shards must be 1 with datapath: dgram/);
});

suite("config check reads the files that are named", () => {
  const certificates = join(tmpdir(), `postern-checked-${process.pid}`);
  before(() => mkdir(certificates));
  after(() => rm(certificates, { recursive: true }));

  test("the certificate and its key", { skip: requirePeer("openssl") }, async () => {
    const { cert, key, ca } = await makeTestCertificates(certificates);
    const check = (...args: readonly string[]) => run(["config", "check", ...args]);
    const other = join(certificates, "rsa.key");
    await runChild(["openssl", "genrsa", "-out", other, "2048"]);
    assert.deepEqual(await check("--tls-cert", cert, "--tls-key", key), { code: 0, output: "" });
    for (const [args, problem] of [
      [["--tls-cert", ca, "--tls-key", key], /do not work together/],
      [["--tls-cert", cert, "--tls-key", other], /do not work together/],
      [["--tls-cert", `${cert}.none`, "--tls-key", key], /The certificate in .*leaf\.pem\.none cannot be read/],
      [["--tls-cert", cert, "--tls-key", `${key}.none`], /The secret in .*leaf\.key\.none cannot be read/],
      [["--tls-cert", cert, "--tls-key", key, "--server-name", "turn.example.org"], /is not for turn\.example\.org/],
    ] as const) {
      const { code, output } = await check(...args);
      assert.equal(code, 1);
      assert.match(output, problem);
    }
  });

  test("secrets and the token, and makes none", async () => {
    const empty = join(certificates, "empty");
    await writeFile(empty, "", { mode: 0o600 });
    const short = join(certificates, "short");
    await writeFile(short, "short\n", { mode: 0o600 });
    for (const [args, problem] of [
      [["--shared-secret-files", empty], /is empty/],
      [["--http-token-file", short], /fewer than 16 characters/],
    ] as const) {
      const { code, output } = await run(["config", "check", ...args]);
      assert.equal(code, 1);
      assert.match(output, problem);
    }
    const data = join(certificates, "data");
    assert.equal((await run(["config", "check", "--data-dir", data])).code, 0);
    await assert.rejects(stat(data), { code: "ENOENT" });
  });
});

suite("postern user", () => {
  test("takes a password from standard input, lists and removes", async () => {
    const added = await run(["user", "add", "bob", "--password-stdin"], { input: "pässword, lang\n" });
    assert.deepEqual(added, { code: 0, output: 'bob is let in, realm "postern".\n' });
    assert.match((await run(["user", "list"])).output, /^bob {3}since \d{4}-\d\d-\d\d\n$/);
    const listed = JSON.parse((await run(["user", "list", "--json"])).output) as { name: string }[];
    assert.deepEqual(
      listed.map(({ name }) => name),
      ["bob"],
    );
    assert.match(
      (await run(["user", "list", "--realm", "example.org"])).output,
      /set the password again: no key for realm example\.org/,
    );
    assert.equal((await run(["user", "remove", "bob"])).code, 0);
    const gone = await run(["user", "remove", "bob"]);
    assert.equal(gone.code, 1);
    assert.match(gone.output, /^postern: There is no user bob/);
  });

  test("takes a short password, and says what is wrong with it", async () => {
    const { code, output } = await run(["user", "add", "ann", "--password-stdin"], { input: "elevenchars\n" });
    assert.equal(code, 0);
    assert.match(output, /^This password has 11 characters: .* Take 12 or more, or --generate one\.$/m);
    assert.equal((await run(["user", "remove", "ann"])).code, 0);
  });

  test("gives no phone the name of a service", async () => {
    const add = ["user", "add", "echo", "--generate", "--sip-domain", "example.org"];
    const { code, output } = await run([...add, "--sip"]);
    assert.equal(code, 1);
    assert.match(output, /"echo" is a service that answers calls itself: choose another name/);
  });

  test("makes a password and shows it once", async () => {
    const { output } = await run(["user", "add", "eve", "--generate"]);
    assert.match(output, /which is not kept:\n[\w-]{20}\n$/);
  });

  test("does not make a password where one is given", async () => {
    const { code, output } = await run(["user", "add", "eve", "--generate", "--password-stdin"], {
      input: "pässword\n",
    });
    assert.equal(code, 1);
    assert.match(output, /'--generate' cannot be used with option '--password-stdin'/);
  });

  test("without a terminal says how to give a password", async () => {
    const { code, output } = await run(["user", "add", "bob"]);
    assert.equal(code, 1);
    assert.match(output, /--password-stdin or --generate/);
  });

  test("refuses an empty password", async () => {
    assert.equal((await run(["user", "add", "bob", "--password-stdin"], { input: "\n" })).code, 1);
  });
});

suite("postern credentials", () => {
  test("prints a block and how long it is good for", async () => {
    const { code, output } = await run(["credentials", "--ttl", "90s"]);
    assert.equal(code, 0);
    assert.match(output, /^\/\/ Good for 90s, until \d{4}-\d\d-\d\dT[\d:]+Z\.\nconst iceServers = \[/);
  });

  test("says what is wrong with what it was given", async () => {
    assert.match((await run(["credentials", "--ttl", "soon"])).output, /Give a time such as/);
    assert.match((await run(["credentials", "--user", "a:b"])).output, /without a colon/);
    assert.match((await run(["credentials", "--auth", "users"])).output, /postern user add/);
  });
});

test("root goes on as the owner of the data directory, and follows no link for it", {
  skip: requirePrivilege("root"),
}, async () => {
  const directory = await mkdtemp(join(tmpdir(), "postern-owner-"));
  try {
    await chmod(directory, 0o755);
    const dataDir = join(directory, "data");
    await mkdir(dataDir, { mode: 0o700 });
    await chown(dataDir, 65_534, 65_534);
    const add = () => run(["user", "add", "alice", "--generate", "--data-dir", dataDir]);
    assert.equal((await add()).code, 0);
    assert.equal((await stat(join(dataDir, "users.db"))).uid, 65_534);
    const secret = join(directory, "root-only");
    await writeFile(secret, "root's", { mode: 0o600 });
    for (const name of await readdir(dataDir)) await rm(join(dataDir, name));
    await symlink(secret, join(dataDir, "users.db"));
    const refused = await add();
    assert.notEqual(refused.code, 0);
    assert.match(refused.output, /users\.db cannot be read/);
    assert.equal((await stat(secret)).uid, 0);
    assert.equal(await readFile(secret, "utf8"), "root's");
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("a helper for a user that there is not says how to make one", {
  skip: requirePrivilege("root") || requireForeign(),
}, async () => {
  const { code, output } = await run(["helper", "--user", "nobody-else", "--", "serve"]);
  assert.equal(code, 1);
  assert.match(output, /^postern: There is no user nobody-else: make one, with useradd --system nobody-else, or /);
});

test("a helper says who cannot run it", { skip: requireForeign() || requirePrivilege("root") }, async () => {
  const hidden = await mkdtemp(join(tmpdir(), "postern-hidden-"));
  try {
    await copyFile(process.execPath, join(hidden, "node"), constants.COPYFILE_FICLONE);
    const [, ...program] = postern("helper", "--user", "nobody", "--", "serve");
    const child = await startChild([join(hidden, "node"), ...program], { env: cleanEnvironment });
    assert.equal((await child.ended()).code, 1);
    assert.match(child.output(), /^postern: The user 65534 may not run .*node: /m);
  } finally {
    await rm(hidden, { recursive: true });
  }
});

test("a helper is given interfaces by name, or none at all", async () => {
  for (const names of ["", "eth0,", "eth0/1", "an interface"]) {
    const { code, output } = await run(["helper", "--user", "nobody", "--interfaces", names]);
    assert.equal(code, 1);
    assert.match(output, /Give interfaces by name, such as eth0 or eth0,eth1\./);
  }
});
