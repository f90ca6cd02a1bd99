/**
 * Prints how many programs see what comes in on an interface, given by number (BPF_PROG_QUERY). With `detach` behind it,
 * takes them off first, as whoever administers the host could (BPF_LINK_DETACH).
 */
import { bpf, bpfAttributes } from "../../src/node/sys/bpf.ts";
import { NativeMemory } from "../../src/node/sys/native-memory.ts";

const BPF_PROG_QUERY = 16;
const BPF_LINK_GET_FD_BY_ID = 30;
const BPF_LINK_DETACH = 34;
const BPF_TCX_INGRESS = 46;
const most = 16;

const [index, what] = process.argv.slice(2);
const programs = new NativeMemory("program numbers", 4 * most);
const links = new NativeMemory("link numbers", 4 * most);

function orThrow(result: number): number {
  if (result < 0) throw new Error(`bpf: errno ${-result}`);
  return result;
}

/** The links by which programs are there. */
function query(): number[] {
  const attributes = bpfAttributes();
  attributes.u32[0] = Number(index);
  attributes.u32[1] = BPF_TCX_INGRESS;
  attributes.putPointer(16, programs.address);
  attributes.u32[6] = most;
  attributes.putPointer(40, links.address);
  orThrow(bpf(BPF_PROG_QUERY, attributes));
  return [...links.u32.slice(0, attributes.u32[6])];
}

if (what === "detach") {
  for (const link of query()) {
    const attributes = bpfAttributes();
    attributes.u32[0] = link;
    const descriptor = orThrow(bpf(BPF_LINK_GET_FD_BY_ID, attributes));
    const again = bpfAttributes();
    again.u32[0] = descriptor;
    orThrow(bpf(BPF_LINK_DETACH, again));
  }
}
process.stdout.write(String(query().length));
