/** What is to be done when something is due. */
import type { Instant } from "../base/machine.ts";
import type { ClientTransaction } from "../stun/client-transaction.ts";
import type { Checklist, ConsentTimer } from "./checklist.ts";
import { handleCheckTimedOut } from "./checks.ts";
import { doubt, expire, handleConsentDue, handleSilence } from "./consent.ts";
import { diagnose } from "./diagnosis.ts";
import { concludeGathering, endGathering, keepCandidatesAlive } from "./gathering.ts";
import { handleHardNatsDue } from "./hard-nat/probing.ts";
import { forget } from "./restart.ts";
import { useSlot } from "./slots.ts";
import type { AgentState, Ask, Due } from "./state.ts";

export function handleDue(state: AgentState, due: Due, now: Instant): void {
  switch (due.kind) {
    case "transaction":
      return handleTransactionDue(state, due, now);
    case "pace":
      return useSlot(state, now);
    case "hard-nats":
      return handleHardNatsDue(state, now);
    case "keepalive":
      return keepCandidatesAlive(state, now);
    case "budget":
      return state.gathering === "running" ? endGathering(state) : undefined;
    case "pac":
      due.list.isPatient = false;
      return;
    case "likely-cause":
      return tellLikelyCause(state, due.list);
    case "linger":
      return forget(state, due.list);
    case "nominate":
      // What follows every input looks at nominations.
      return;
    default:
      return handleConsentTimer(state, due, now);
  }
}

function handleConsentTimer(state: AgentState, { kind, component }: ConsentTimer, now: Instant): void {
  if (kind === "consent") handleConsentDue(state, component, now);
  else if (kind === "doubt") doubt(state, component, now);
  else if (kind === "silence") handleSilence(state, component, now);
  else expire(state, component);
}

function handleTransactionDue(state: AgentState, transaction: ClientTransaction<Ask>, now: Instant): void {
  const { outputs, transactions } = state;
  const { purpose } = transaction;
  if (transactions.handleDue(transaction, now) === "send") {
    if (purpose.kind === "check" && purpose.isCancelled) return;
    const [base, to] =
      purpose.kind === "gather" ? [purpose.base, purpose.server] : [purpose.pair.base, purpose.pair.remoteAddress];
    if (purpose.kind === "check") purpose.pair.checksSent++;
    outputs.push({ kind: "send", base: base.id, to, data: transaction.request });
  } else if (purpose.kind === "check") handleCheckTimedOut(state, purpose);
  else if (purpose.kind === "gather") concludeGathering(state);
}

function tellLikelyCause(state: AgentState, list: Checklist): void {
  if (list.isCompleted || list.isFailed || list.stream.current !== list) return;
  const { reason, report } = diagnose(state, list);
  state.tell({ type: "likely-cause", stream: list.stream.index, reason, report });
}
