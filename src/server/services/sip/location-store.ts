/**
 * Where phones are, kept in an embedded database so that a restart does not make them unreachable until they register
 * again. Changes are written together, a moment after the first of them, in one transaction: a phone has its answer before.
 * What a crash loses is that moment of Postern's, and of the machine's what the system had not written yet; either heals
 * when the phone registers next, within ten minutes.
 */
import { closeSync, constants, openSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { type Address, formatAddress } from "../../../core/base/address.ts";
import { PosternError } from "../../../core/base/failure.ts";
import type { UnixSeconds } from "../../../core/base/machine.ts";
import type { SipTransport } from "../../../core/sip/flow.ts";
import type { BindingRecord } from "../../../core/sip/registrar/binding.ts";
import { FailureLog } from "../../../node/failure-log.ts";
import type { SipLocation } from "../../../node/sip/sip-host.ts";
import { parseEndpoint } from "../../config/address-kinds.ts";
import type { DaemonLog } from "../../log.ts";

const schema = `
  CREATE TABLE IF NOT EXISTS binding (
    aor TEXT NOT NULL,
    contact TEXT NOT NULL,
    params TEXT NOT NULL,
    priority INTEGER NOT NULL,
    instance TEXT,
    call_id TEXT NOT NULL,
    cseq INTEGER NOT NULL,
    path TEXT NOT NULL,
    user_agent TEXT,
    transport TEXT NOT NULL,
    local TEXT NOT NULL,
    remote TEXT NOT NULL,
    registered_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    through TEXT,
    PRIMARY KEY (aor, contact)
  ) STRICT, WITHOUT ROWID;
`;

/** Long enough that a flood of registrations costs few transactions, short beside anything that a phone waits for. */
const delayMs = 100;

interface Row {
  readonly aor: string;
  readonly contact: string;
  readonly params: string;
  readonly priority: number;
  readonly instance: string | null;
  readonly call_id: string;
  readonly cseq: number;
  readonly path: string;
  readonly user_agent: string | null;
  readonly transport: SipTransport;
  readonly local: string;
  readonly remote: string;
  readonly registered_at: UnixSeconds;
  readonly expires_at: UnixSeconds;
  readonly through: string | null;
}

export class LocationStore implements SipLocation, Disposable {
  readonly #database: DatabaseSync;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;
  readonly #failures: FailureLog;
  /** The latest of each phone; undefined: to be forgotten. */
  readonly #changes: Map<string, { readonly binding: BindingRecord; readonly isKept: boolean }> = new Map();
  #timer: NodeJS.Timeout | undefined;

  private constructor(database: DatabaseSync, log: DaemonLog) {
    this.#database = database;
    this.#failures = new FailureLog(log, "registrations-unwritable");
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 2000;");
    database.exec(schema);
    // A file of before has no such column.
    const columns = database.prepare("SELECT name FROM pragma_table_info('binding')").all();
    if (!columns.some(({ name }) => name === "through")) database.exec("ALTER TABLE binding ADD COLUMN through TEXT");
    this.#put = database.prepare(`INSERT OR REPLACE INTO binding VALUES (${Array(15).fill("?").join()})`);
    this.#remove = database.prepare("DELETE FROM binding WHERE aor = ? AND contact = ?");
  }

  /** Opens the database, which is made with mode 600 if it is not there. Throws `PosternError` `registrations-unusable`. */
  static open(path: string, log: DaemonLog): LocationStore {
    try {
      closeSync(openSync(path, constants.O_CREAT | constants.O_RDWR, 0o600));
      return new LocationStore(new DatabaseSync(path), log);
    } catch (cause) {
      throw unusable(path, cause as Error);
    }
  }

  /** Everything that is kept. */
  all(): BindingRecord[] {
    return (this.#database.prepare("SELECT * FROM binding").all() as unknown as Row[]).flatMap((row) => {
      const [local, remote] = [parseEndpoint(row.local), parseEndpoint(row.remote)];
      return local === undefined || remote === undefined ? [] : [recordOf(row, local, remote)];
    });
  }

  store(binding: BindingRecord): void {
    this.#change(binding, true);
  }

  forget(binding: BindingRecord): void {
    this.#change(binding, false);
  }

  #change(binding: BindingRecord, isKept: boolean): void {
    this.#changes.set(`${binding.aor}\n${binding.contact}`, { binding, isKept });
    this.#timer ??= setTimeout(() => this.write(), delayMs);
  }

  /** Writes what has changed, now. */
  write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#changes.size === 0) return;
    try {
      this.#database.exec("BEGIN IMMEDIATE");
      try {
        for (const { binding, isKept } of this.#changes.values()) {
          if (isKept) this.#insert(binding);
          else this.#remove.run(binding.aor, binding.contact);
        }
        this.#database.exec("COMMIT");
      } catch (error) {
        this.#database.exec("ROLLBACK");
        throw error;
      }
    } catch (error) {
      // A full disk costs what a restart would find, and no phone its registration.
      this.#failures.report(error);
    }
    this.#changes.clear();
  }

  #insert(binding: BindingRecord): void {
    const { aor, contact, params, priority, instance = null, callId, cseq, path, userAgent = null, flow } = binding;
    const { registeredAt, expiresAt, through = null } = binding;
    const places = [flow.transport, formatAddress(flow.local), formatAddress(flow.remote)] as const;
    this.#put.run(
      ...[aor, contact, params, priority, instance, callId, cseq, JSON.stringify(path), userAgent],
      ...places,
      ...[registeredAt, expiresAt, through],
    );
  }

  [Symbol.dispose](): void {
    this.write();
    this.#database.close();
  }
}

/** A connection is gone with the process that had it. */
function recordOf(row: Row, local: Address, remote: Address): BindingRecord {
  const { aor, contact, params, priority, cseq, transport } = row;
  return {
    ...{ aor, contact, params, priority, cseq },
    instance: row.instance ?? undefined,
    callId: row.call_id,
    path: JSON.parse(row.path) as string[],
    through: row.through ?? undefined,
    userAgent: row.user_agent ?? undefined,
    flow: { transport, local, remote, connection: 0 },
    registeredAt: row.registered_at,
    expiresAt: row.expires_at,
  };
}

function unusable(path: string, cause: Error): PosternError {
  const sentence = `The registrations in ${path} cannot be read: ${cause.message}. Remove the file; phones register again.`;
  return new PosternError("registrations-unusable", sentence, { cause });
}
