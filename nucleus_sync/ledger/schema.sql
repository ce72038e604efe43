-- The ledger: what Nucleus was made to hold, job by job and record by record.
--
-- This text is what a new ledger is made from, so what it says is what is there. Version 1.
-- Older ledgers come here through migrations.py; `PRAGMA user_version` holds the version,
-- `PRAGMA application_id` says that the file is a ledger at all.
--
-- Times are unix seconds (REAL). JSON is TEXT. Keys and stamps are those of records/key and records/fingerprint.

-- What the ledger is. Rows: lineage (128 random bits in hex: which ledger this is), serial (raised once by every
-- transaction that changes something a plan depends on), endpoint (the Nucleus it speaks of; `embedded` is one too),
-- spec (path of the spec from the ledger's folder; once it was opened for one), created_at, fingerprint_version (of the content hashes in `known`).
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- What is declared and no record: datasets, taxonomies, slices, models, evaluations, benchmarks.
CREATE TABLE resources (
    address    TEXT PRIMARY KEY,      -- `dataset.street`, `model.cnn`
    kind       TEXT NOT NULL,         -- dataset, taxonomy, slice, model, evaluation, benchmark
    nucleus_id TEXT,                  -- as Nucleus calls it; NULL where it gives none
    digest     TEXT NOT NULL,         -- of the declaration that was applied
    details    TEXT NOT NULL,         -- JSON: whatever else has to be known to compare, change or delete it
    applied_at REAL NOT NULL
) STRICT, WITHOUT ROWID;

-- Creations under way. A row that outlives its run is a creation of unknown outcome: look before making it again.
CREATE TABLE creations (
    address  TEXT PRIMARY KEY,
    kind     TEXT NOT NULL,
    request  TEXT NOT NULL,           -- JSON: what was asked for, so that the thing can be recognised
    begun_at REAL NOT NULL            -- nothing made before this can be ours
) STRICT, WITHOUT ROWID;

-- Sets of records that are kept equal to their sources.
CREATE TABLE streams (
    id              INTEGER PRIMARY KEY,        -- small, because every known record carries it
    address         TEXT NOT NULL UNIQUE,       -- `dataset.street.items`
    count           INTEGER NOT NULL DEFAULT 0, -- confirmed rows in `known`
    maybes          INTEGER NOT NULL DEFAULT 0, -- rows in `known` that were sent but never confirmed
    version         INTEGER NOT NULL DEFAULT 0, -- raised by every change of the known records
    standing        BLOB,                       -- the state of the sources that were found equal to `known`
    standing_counts TEXT,                       -- JSON: what was counted then
    standing_at     REAL,
    invalid         INTEGER NOT NULL DEFAULT 0, -- records that the last reading found unfit, all of them
    findings        INTEGER NOT NULL DEFAULT 0  -- remarks of the last reading, all of them
) STRICT;

-- Records as the last finished job left them. No foreign key on `stream`: it would cost a look-up for each record.
CREATE TABLE known (
    stream INTEGER NOT NULL,
    key    BLOB NOT NULL,             -- reference id, NUL, what tells records of one item apart
    stamp  BLOB NOT NULL,             -- 24 bytes; see known.py for the two values that mean doubt
    PRIMARY KEY (stream, key)
) STRICT, WITHOUT ROWID;

-- Batches of records, sent as one job or one call; the newest 10,000 (tidy.py). The legal moves of `state` are in journal.py.
CREATE TABLE batches (
    id          INTEGER PRIMARY KEY,
    address     TEXT NOT NULL,        -- of the stream
    operation   TEXT NOT NULL CHECK (operation IN ('ingest', 'probe', 'clear', 'delete')),
    state       TEXT NOT NULL CHECK (state IN
        ('prepared', 'submitted', 'unknown', 'done', 'partial', 'failed', 'settled')),
    request_id  TEXT NOT NULL,        -- ours; names the upload
    job_type    TEXT NOT NULL,        -- as Nucleus lists it; empty where the call's answer is the outcome
    job_id      TEXT,                 -- NULL until Nucleus answered
    sources     TEXT NOT NULL,        -- JSON array: names of the sources that the records come from
    details     TEXT NOT NULL,        -- JSON: what settling it needs beside the manifest
    records     INTEGER NOT NULL,     -- rows in the manifest
    confirmed   INTEGER NOT NULL DEFAULT 0,
    rejected    INTEGER NOT NULL DEFAULT 0,
    prepared_at REAL NOT NULL,        -- the intent; no byte was sent before
    submitted_at REAL,                -- the job id became known
    finished_at REAL
) STRICT;
CREATE INDEX batches_open ON batches (id) WHERE state IN ('prepared', 'submitted', 'unknown');

-- The rows of open batches, apart so that listing batches does not read them; dropped when the batch is finished.
CREATE TABLE manifests (
    batch    INTEGER PRIMARY KEY REFERENCES batches (id) ON DELETE CASCADE,
    contents BLOB NOT NULL            -- keys, stamps and locators as manifest.py packs them
) STRICT;

-- Job ids that are ours, to tell our jobs from strangers'; the newest 10,000.
CREATE TABLE jobs (
    job_id   TEXT PRIMARY KEY,
    address  TEXT NOT NULL,
    job_type TEXT NOT NULL,
    noted_at REAL NOT NULL
) STRICT, WITHOUT ROWID;

-- Sources of which Nucleus has taken at least one record: they need no probe any more.
CREATE TABLE probed (
    stream INTEGER NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    source TEXT NOT NULL,
    PRIMARY KEY (stream, source)
) STRICT, WITHOUT ROWID;

-- Records that Nucleus refused; they rest until their stamp differs from the one here.
CREATE TABLE rejections (
    stream     INTEGER NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    key        BLOB NOT NULL,
    stamp      BLOB NOT NULL,         -- of the record that was refused
    reason     TEXT NOT NULL,         -- in Nucleus's words
    file       TEXT NOT NULL,         -- of the source
    position   TEXT NOT NULL,         -- in that file
    lacks_item INTEGER NOT NULL,      -- 1: goes away when its item is confirmed
    at         REAL NOT NULL,
    PRIMARY KEY (stream, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX rejections_lacking ON rejections (stream) WHERE lacks_item = 1;

-- What the last reading of a stream's sources complained of: the first ones, totals are in `streams`.
CREATE TABLE problems (
    stream   INTEGER NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    number   INTEGER NOT NULL,        -- in the order of reading
    source   TEXT NOT NULL,
    file     TEXT NOT NULL,
    position TEXT NOT NULL,
    record   TEXT NOT NULL,           -- as the file's author would call it
    cause    TEXT NOT NULL,           -- the same text for all of its kind
    detail   TEXT NOT NULL,
    severity TEXT NOT NULL,           -- invalid, finding
    key      BLOB,
    fix      TEXT,
    count    INTEGER NOT NULL,        -- records that it takes out
    PRIMARY KEY (stream, number)
) STRICT, WITHOUT ROWID;

-- Type of each metadata key that was ever sent: Nucleus refuses a number where it has seen a text.
CREATE TABLE metadata_types (
    stream INTEGER NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    name   TEXT NOT NULL,
    type   TEXT NOT NULL CHECK (type IN ('text', 'number')),
    PRIMARY KEY (stream, name)
) STRICT, WITHOUT ROWID;

-- Outcomes of evaluations, the newest 1,000 of each.
CREATE TABLE results (
    id      INTEGER PRIMARY KEY,
    address TEXT NOT NULL,            -- `evaluation.nightly`
    inputs  TEXT NOT NULL,            -- digest of everything that went in
    result  TEXT NOT NULL,            -- JSON
    at      REAL NOT NULL
) STRICT;
CREATE INDEX results_newest ON results (address, id);

-- History of the commands that changed something, the newest 10,000.
CREATE TABLE runs (
    id          INTEGER PRIMARY KEY,
    command     TEXT NOT NULL,
    plan_digest TEXT NOT NULL,
    started_at  REAL NOT NULL,
    finished_at REAL,                 -- NULL: it is still running, or it died
    exit_code   INTEGER,
    counts      TEXT                  -- JSON
) STRICT;

-- Who may write. One row at most.
CREATE TABLE lease (
    only       INTEGER PRIMARY KEY CHECK (only = 1),
    owner      TEXT,                  -- user and command; NULL when nobody holds it
    host       TEXT,
    pid        INTEGER,
    since      REAL,
    heartbeat  REAL,
    generation INTEGER NOT NULL       -- raised by every holder; an older holder's writes are refused
) STRICT;
