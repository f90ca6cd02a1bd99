import assert from "node:assert/strict";
import { test } from "node:test";
import { after, type Instant, type Machine } from "../../src/core/base/machine.ts";
import { Driver } from "../../src/node/driver.ts";

/** Says what it is told, and has one deadline. */
class Echo implements Machine<string> {
  outputs: string[] = [];
  deadline: Instant | undefined;
  timeouts: Instant[] = [];

  pollOutput(): string | undefined {
    return this.outputs.shift();
  }

  pollTimeout(): Instant | undefined {
    return this.deadline;
  }

  handleTimeout(now: Instant): void {
    this.timeouts.push(now);
    if (this.deadline === undefined || now < this.deadline) return;
    this.deadline = undefined;
    this.outputs.push("time");
  }
}

function setUp(perform?: (output: string, driver: Driver<Echo, string>) => void) {
  const machine = new Echo();
  const performed: string[] = [];
  const failures: unknown[] = [];
  let now = 1_000;
  const driver: Driver<Echo, string> = new Driver<Echo, string>(
    machine,
    {
      perform: (output) => {
        performed.push(output);
        perform?.(output, driver);
      },
      handleFailure: (cause) => failures.push(cause),
    },
    () => now as Instant,
  );
  const pass = (ms: number) => {
    now += ms;
  };
  return { machine, driver, performed, failures, pass };
}

test("an input is followed by every output, in order", () => {
  const { driver, performed } = setUp();
  driver.input((machine, now) => machine.outputs.push("a", "b", `at ${now}`));
  assert.deepEqual(performed, ["a", "b", "at 1000"]);
});

test("an input from inside an output joins the queue that is drained", () => {
  let during: string[] = [];
  const { driver, performed } = setUp((output, inner) => {
    if (output !== "a") return;
    inner.input((machine) => machine.outputs.push("c"));
    during = [...performed];
  });
  driver.input((machine) => machine.outputs.push("a", "b"));
  assert.deepEqual(during, ["a"]);
  assert.deepEqual(performed, ["a", "b", "c"]);
});

test("exceptions cost what they interrupt, and nothing else", () => {
  const { driver, performed, failures } = setUp((output) => {
    if (output === "bad") throw new Error("perform");
  });
  driver.input((machine) => {
    machine.outputs.push("bad", "good");
    throw new Error("input");
  });
  assert.deepEqual(performed, ["bad", "good"]);
  assert.deepEqual(
    failures.map((f) => (f as Error).message),
    ["input", "perform"],
  );
  driver.input((machine) => machine.outputs.push("next"));
  assert.equal(performed.at(-1), "next");
});

test("one timer follows the machine's deadline: never late, early when the deadline moved away", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { machine, driver, performed, pass } = setUp();
  const tick = (ms: number) => {
    pass(ms);
    context.mock.timers.tick(ms);
  };
  driver.input((m, now) => {
    m.deadline = after(now, 500);
  });
  driver.input((m, now) => {
    m.deadline = after(now, 200);
  });
  tick(199);
  assert.deepEqual(machine.timeouts, []);
  driver.input((m, now) => {
    m.deadline = after(now, 300);
  });
  tick(1);
  assert.deepEqual(machine.timeouts, [1_200]);
  assert.deepEqual(performed, []);
  tick(298);
  assert.deepEqual(performed, []);
  tick(1);
  assert.deepEqual(performed, ["time"]);
  tick(10_000);
  assert.equal(machine.timeouts.length, 2);
});

test("a deadline beyond what a timer can wait is reached in steps", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { machine, driver, performed, pass } = setUp();
  driver.input((m, now) => {
    m.deadline = after(now, 2 ** 31 + 1_000);
  });
  for (const step of [2 ** 31 - 1, 1_001]) {
    assert.deepEqual(performed, []);
    pass(step);
    context.mock.timers.tick(step);
  }
  assert.equal(machine.timeouts.length, 2);
  assert.deepEqual(performed, ["time"]);
});

test("no timer is asked to wait longer than it can", (context) => {
  const setTimeout = context.mock.method(globalThis, "setTimeout");
  const { driver } = setUp();
  driver.input((m, now) => {
    m.deadline = after(now, 2 ** 31 + 1_000);
  });
  assert.equal(setTimeout.mock.calls[0]?.arguments[1], 2 ** 31 - 1);
  driver.stop();
});

test("stopped, it neither takes inputs nor fires", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { machine, driver, performed, pass } = setUp();
  driver.input((m, now) => {
    m.deadline = after(now, 100);
  });
  driver.stop();
  driver.input((m) => m.outputs.push("late"));
  pass(1_000);
  context.mock.timers.tick(1_000);
  assert.deepEqual(performed, []);
  assert.deepEqual(machine.outputs, []);
  assert.deepEqual(machine.timeouts, []);
});
