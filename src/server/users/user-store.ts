/**
 * Users in an embedded database. What is kept of a password is the keys that follow from it, one pair for every realm;
 * the password itself is never written. Triggers note whose keys changed, so that a running daemon learns of changes that
 * another process made without reading everything again.
 */
import { closeSync, constants, openSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { PosternError } from "../../core/base/failure.ts";
import { isServiceName } from "../../core/edge/services/descriptions.ts";
import { longTermKey, userhash } from "../../core/stun/credentials.ts";
import { opaqueString } from "../../core/stun/opaque-string.ts";
import { PasswordAlgorithmNumber } from "../../core/stun/registry.ts";
import type { UserKeys, UserQuery } from "../../core/turn/server/outputs.ts";
import { nodeCrypto } from "../../node/crypto.ts";

const schema = `
  CREATE TABLE IF NOT EXISTS user (
    name TEXT PRIMARY KEY,
    since INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS user_key (
    name TEXT NOT NULL REFERENCES user ON DELETE CASCADE,
    realm TEXT NOT NULL,
    md5 BLOB NOT NULL CHECK (length(md5) = 16),
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    userhash BLOB NOT NULL CHECK (length(userhash) = 32),
    PRIMARY KEY (name, realm)
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX IF NOT EXISTS user_key_by_hash ON user_key (userhash, realm);
  CREATE TABLE IF NOT EXISTS realm (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS phone (name TEXT PRIMARY KEY REFERENCES user ON DELETE CASCADE) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS sip_domain (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS change (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL
  ) STRICT;
  CREATE TRIGGER IF NOT EXISTS user_key_removed AFTER DELETE ON user_key
    BEGIN INSERT INTO change (name) VALUES (old.name); END;
  CREATE TRIGGER IF NOT EXISTS user_key_changed AFTER UPDATE ON user_key
    BEGIN INSERT INTO change (name) VALUES (old.name); END;
`;

/** Bytes that a user name may have (RFC 8489 §14.3). */
const maxNameBytes = 508;

export interface ListedUser {
  readonly name: string;
  /** When the password was last set, in Unix seconds. */
  readonly since: number;
  /** May register a phone. */
  readonly isPhone: boolean;
  /** Realms for which the password has to be set again. */
  readonly missing: readonly string[];
}

export class UserStore implements Disposable {
  readonly #database: DatabaseSync;
  readonly #byName: StatementSync;
  readonly #byHash: StatementSync;
  readonly #phoneByName: StatementSync;
  readonly #newestChange: StatementSync;
  readonly #changedAfter: StatementSync;

  private constructor(database: DatabaseSync) {
    this.#database = database;
    database.exec("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 2000;");
    database.exec(schema);
    const keys = "SELECT name AS username, md5, sha256 FROM user_key";
    this.#byName = database.prepare(`${keys} WHERE name = ? AND realm = ?`);
    this.#byHash = database.prepare(`${keys} WHERE userhash = ? AND realm = ?`);
    this.#phoneByName = database.prepare(
      "SELECT md5, sha256 FROM user_key JOIN phone USING (name) WHERE name = ? AND realm = ?",
    );
    this.#newestChange = database.prepare(
      "SELECT coalesce(max(seq), 0) AS number FROM sqlite_sequence WHERE name = 'change'",
    );
    this.#changedAfter = database.prepare("SELECT DISTINCT name FROM change WHERE number > ?");
  }

  /** Opens the database, which is made with mode 600 if it is not there. Throws `PosternError` `users-unusable`. */
  static open(path: string): UserStore {
    try {
      closeSync(openSync(path, constants.O_CREAT | constants.O_RDWR, 0o600));
      return new UserStore(new DatabaseSync(path));
    } catch (cause) {
      throw unusable(path, cause as Error);
    }
  }

  /**
   * Creates the user, or gives a new password to one that is there. With `sipDomain` the user may register a phone there;
   * whose name is a number may do nothing else. Throws `PosternError` `bad-user-name`, `bad-password`.
   */
  setPassword(name: string, password: string, realms: readonly string[], now: number, sipDomain?: string): void {
    const user = sipDomain === undefined ? preparedName(name) : phoneName(name);
    const secret = opaqueString(password);
    if (secret === undefined) {
      throw new PosternError(
        "bad-password",
        "A password must not be empty nor hold control characters: choose another.",
      );
    }
    this.#transaction(() => {
      this.#database.prepare("DELETE FROM user WHERE name = ?").run(user);
      this.#database.prepare("INSERT INTO user (name, since) VALUES (?, ?)").run(user, now);
      const insert = this.#database.prepare("INSERT INTO user_key VALUES (?, ?, ?, ?, ?)");
      if (sipDomain !== undefined) this.#database.prepare("INSERT INTO phone (name) VALUES (?)").run(user);
      const all = [...(isNumber(user) ? [] : realms), ...(sipDomain === undefined ? [] : [sipDomain])];
      for (const realm of new Set(all)) {
        const md5 = longTermKey(nodeCrypto, PasswordAlgorithmNumber.Md5, user, realm, secret);
        const sha256 = longTermKey(nodeCrypto, PasswordAlgorithmNumber.Sha256, user, realm, secret);
        insert.run(user, realm, md5, sha256, userhash(nodeCrypto, user, realm));
      }
    });
  }

  /** False when there is no such user. Throws `PosternError` `bad-user-name`. */
  remove(name: string): boolean {
    const user = isNumber(name) ? name : preparedName(name);
    return this.#database.prepare("DELETE FROM user WHERE name = ?").run(user).changes > 0;
  }

  /** By name; `realms` are those that each user should have keys for, and `sipDomain` one for those with phones. */
  list(realms: readonly string[], sipDomain?: string): ListedUser[] {
    const keyed = this.#database.prepare("SELECT realm FROM user_key WHERE name = ?");
    const users = this.#database
      .prepare(
        "SELECT name, since, phone.name IS NOT NULL AS phone FROM user LEFT JOIN phone USING (name) ORDER BY name",
      )
      .all();
    return (users as { name: string; since: number; phone: number }[]).map(({ name, since, phone }) => {
      const has = new Set(keyed.all(name).map(({ realm }) => realm));
      const isPhone = phone === 1;
      const wanted = [...(isNumber(name) ? [] : realms), ...(isPhone && sipDomain !== undefined ? [sipDomain] : [])];
      return { name, since, isPhone, missing: [...new Set(wanted)].filter((realm) => !has.has(realm)) };
    });
  }

  /** Whether there is such a user. */
  has(name: string): boolean {
    return this.#database.prepare("SELECT 1 FROM user WHERE name = ?").get(opaqueString(name) ?? name) !== undefined;
  }

  /** Whether the user may register a phone, whatever the domain. */
  isPhone(name: string): boolean {
    return this.#database.prepare("SELECT 1 FROM phone WHERE name = ?").get(name) !== undefined;
  }

  /** Who may register a phone in this domain. */
  phones(sipDomain: string): string[] {
    const rows = this.#database.prepare("SELECT name FROM phone JOIN user_key USING (name) WHERE realm = ?");
    return rows.all(sipDomain).map(({ name }) => name as string);
  }

  /** The keys of a user who may register a phone in this domain. */
  findPhone(name: string, sipDomain: string): Pick<UserKeys, "md5" | "sha256"> | undefined {
    return this.#phoneByName.get(name, sipDomain) as Pick<UserKeys, "md5" | "sha256"> | undefined;
  }

  /** How many users have no key for `realm`, and so are not let in. */
  countWithout(realm: string): number {
    const count =
      "SELECT count(*) AS users FROM user WHERE name GLOB '*[^0-9]*' AND name NOT IN (SELECT name FROM user_key WHERE realm = ?)";
    return this.#database.prepare(count).get(realm)?.users as number;
  }

  /** A user's keys in `realm`; undefined when there is none. */
  find(query: UserQuery, realm: string): UserKeys | undefined {
    const row = "username" in query ? this.#byName.get(query.username, realm) : this.#byHash.get(query.userhash, realm);
    return row as UserKeys | undefined;
  }

  /** The realms that the daemon serves, as it last said. */
  get realms(): string[] {
    const rows = this.#database.prepare("SELECT name FROM realm ORDER BY name").all();
    return rows.map(({ name }) => name as string);
  }

  setRealms(realms: readonly string[]): void {
    this.#transaction(() => {
      this.#database.exec("DELETE FROM realm");
      const insert = this.#database.prepare("INSERT INTO realm (name) VALUES (?)");
      for (const realm of realms) insert.run(realm);
    });
  }

  /** The domain whose phones the daemon serves, as it last said. */
  get sipDomain(): string | undefined {
    return this.#database.prepare("SELECT name FROM sip_domain").get()?.name as string | undefined;
  }

  setSipDomain(name: string | undefined): void {
    this.#transaction(() => {
      this.#database.exec("DELETE FROM sip_domain");
      if (name !== undefined) this.#database.prepare("INSERT INTO sip_domain (name) VALUES (?)").run(name);
    });
  }

  /** Number of the newest change: a place to ask from later. */
  get newestChange(): number {
    return this.#newestChange.get()?.number as number;
  }

  /** Users that were removed, or got a new password, after change `number`. */
  changedAfter(number: number): string[] {
    return this.#changedAfter.all(number).map(({ name }) => name as string);
  }

  /** Forgets changes up to and including `number`. */
  forgetChanges(number: number): void {
    this.#database.prepare("DELETE FROM change WHERE number <= ?").run(number);
  }

  #transaction(work: () => void): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.#database.exec("COMMIT");
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}

function preparedName(name: string): string {
  const prepared = opaqueString(name);
  if (prepared !== undefined && Buffer.byteLength(prepared) <= maxNameBytes && !/^\d+(:|$)/.test(prepared))
    return prepared;
  throw new PosternError(
    "bad-user-name",
    `"${name}" cannot be a user name: it must have 1 to ${maxNameBytes} bytes, no control characters, and no number alone or before a colon, which marks time-limited names. A number alone is a phone's: add --sip.`,
  );
}

/** A number names a phone alone: TURN takes it for a time. */
function isNumber(name: string): boolean {
  return /^\d+$/.test(name);
}

/** What stands in a SIP address as it is, and can be dialed by every telephone. */
function phoneName(name: string): string {
  if (isServiceName(name)) {
    throw new PosternError("bad-user-name", `"${name}" is a service that answers calls itself: choose another name.`);
  }
  if (/^[A-Za-z0-9._+-]{1,64}$/.test(name)) return name;
  throw new PosternError(
    "bad-user-name",
    `"${name}" cannot be dialed: a phone's user has 1 to 64 letters, digits, dots, dashes, underscores and plus signs.`,
  );
}

function unusable(path: string, cause: Error): PosternError {
  return new PosternError("users-unusable", `The users in ${path} cannot be read: ${cause.message}.`, { cause });
}
