/** Runs the program on one frame, without an interface (BPF_PROG_TEST_RUN). */
import { bpf, bpfAttributes } from "../../../../src/node/sys/bpf.ts";
import { BPF_PROG_TEST_RUN, BPF_TEST_ATTR } from "../../../../src/node/sys/layout.ts";
import { NativeMemory } from "../../../../src/node/sys/native-memory.ts";
import { orThrow } from "../../../../src/node/sys/system-error.ts";

/** The frame comes with a sum that hardware made, and the kernel sees afterwards that it is still right. */
const BPF_F_TEST_SKB_CHECKSUM_COMPLETE = 4;

const room = 2_048;

export interface Run {
  readonly action: "up" | "drop" | "forward";
  readonly frame: Buffer;
}

const actions = new Map<number, Run["action"]>([
  [-1, "up"],
  [2, "drop"],
  [7, "forward"],
]);

export class TestRuns {
  readonly #in: NativeMemory = new NativeMemory("frame in", room);
  readonly #out: NativeMemory = new NativeMemory("frame out", room);
  readonly #program: number;

  constructor(program: number) {
    this.#program = program;
  }

  run(frame: Uint8Array, withHardwareSum: boolean): Run {
    this.#in.bytes.set(frame);
    const attributes = bpfAttributes();
    const { u32 } = attributes;
    u32[BPF_TEST_ATTR.program >> 2] = this.#program;
    u32[BPF_TEST_ATTR.sizeIn >> 2] = frame.length;
    u32[BPF_TEST_ATTR.sizeOut >> 2] = room;
    u32[BPF_TEST_ATTR.flags >> 2] = withHardwareSum ? BPF_F_TEST_SKB_CHECKSUM_COMPLETE : 0;
    attributes.putPointer(BPF_TEST_ATTR.dataIn, this.#in.address);
    attributes.putPointer(BPF_TEST_ATTR.dataOut, this.#out.address);
    orThrow("bpf(BPF_PROG_TEST_RUN)", bpf(BPF_PROG_TEST_RUN, attributes));
    const action = actions.get((u32[BPF_TEST_ATTR.result >> 2] as number) | 0);
    if (action === undefined) throw new Error(`the program returned ${u32[BPF_TEST_ATTR.result >> 2]}`);
    return { action, frame: Buffer.from(this.#out.bytes.subarray(0, u32[BPF_TEST_ATTR.sizeOut >> 2])) };
  }

  close(): void {
    this.#in.release();
    this.#out.release();
  }
}
