/** Prints, as JSON, whether this process gets a datapath with offload, and why not. */
import { createDatapath } from "../../../../src/node/datapath/creation.ts";
import { withOffload } from "../../../../src/node/datapath/offload.ts";

let because: Error | undefined;
const reports = {
  flowFailed: () => {},
  stoodDown: () => {},
  changed: (why: Error | undefined) => void (because = why),
};
const datapath = withOffload(
  createDatapath("dgram"),
  { offloadHelper: process.argv[2], offloadInterfaces: [] },
  reports,
);
process.stdout.write(JSON.stringify({ isThere: datapath.offloaded?.missing === 0, because: String(because) }));
await datapath.close();
