-- The jobs, apart from the world, so that a long ingestion does not keep a trigger or a poll waiting.

CREATE TABLE IF NOT EXISTS jobs (
    pk        INTEGER PRIMARY KEY AUTOINCREMENT,
    dataset   TEXT,                        -- the dataset's id
    type      TEXT NOT NULL,               -- uploadDatasetItems, ...; with _ in front: work without a job id
    state     TEXT NOT NULL,               -- as in the job listing; Queued turns into Running by the clock
    created   REAL NOT NULL,               -- Unix time
    starts    REAL NOT NULL,               -- Unix time from which it shows as Running
    due       REAL,                        -- Unix time at which it is done; null: never
    work      TEXT NOT NULL,               -- JSON: what to do (work.py)
    fault     TEXT NOT NULL,               -- JSON: what was injected into it (faults.py)
    message   TEXT NOT NULL,               -- JSON: string or object
    completed INTEGER NOT NULL,
    total     INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS jobs_open ON jobs (due) WHERE state IN ('Queued', 'Running');

CREATE TABLE IF NOT EXISTS job_errors (
    pk   INTEGER PRIMARY KEY,
    job  INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
    text TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS errors_of_job ON job_errors (job);
