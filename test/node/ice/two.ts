/** Two connections on this machine, over loopback, that know each other by their descriptions. */
import { IceConnection } from "../../../src/node/ice/ice-connection.ts";
import type { IceConnectionOptions } from "../../../src/node/ice/options.ts";
import { until } from "../../support/until.ts";

export const onLoopback: IceConnectionOptions = { interfaces: ["lo"] };

export type Two = AsyncDisposable & { readonly alice: IceConnection; readonly bob: IceConnection };

export async function openTwo(alices: IceConnectionOptions = {}, bobs: IceConnectionOptions = alices): Promise<Two> {
  const [alice, bob] = [
    await IceConnection.open({ ...onLoopback, ...alices }),
    await IceConnection.open({ ...onLoopback, role: "controlled", ...bobs }),
  ];
  return {
    alice,
    bob,
    async [Symbol.asyncDispose]() {
      await Promise.all([alice.close(), bob.close()]);
    },
  };
}

/** Whole descriptions. */
export async function introduce({ alice, bob }: Two): Promise<void> {
  bob.setRemoteDescription(await alice.localDescription());
  alice.setRemoteDescription(await bob.localDescription());
}

/** Sends until it comes: UDP may lose. */
export async function says(from: IceConnection, to: IceConnection, text: string, component = 1): Promise<void> {
  const heard: string[] = [];
  to.onData = (data, at) => heard.push(`${Buffer.from(data)} ${at}`);
  await until(`"${text}" to come`, () => {
    from.send(Buffer.from(text), component);
    return heard.includes(`${text} ${component}`);
  });
}
