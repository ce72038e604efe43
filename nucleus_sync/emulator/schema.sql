-- What the emulated Nucleus holds. Server-made ids are not stored: they are spelled from `pk` (see ids.py).

CREATE TABLE IF NOT EXISTS settings (
    key   TEXT PRIMARY KEY,              -- salt (of the ids), secret (of the signed URLs)
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS datasets (
    pk                INTEGER PRIMARY KEY AUTOINCREMENT,   -- never used again, so a dead id stays dead
    name              TEXT NOT NULL,                       -- not unique, as at Nucleus
    is_scene          INTEGER NOT NULL,
    privacy           INTEGER NOT NULL,
    annotation_schema TEXT,                                -- JSON or null
    item_schema       TEXT,                                -- JSON or null
    tags              TEXT NOT NULL DEFAULT '[]',          -- JSON list
    created           TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS scenes (
    pk           INTEGER PRIMARY KEY AUTOINCREMENT,
    dataset      INTEGER NOT NULL REFERENCES datasets ON DELETE CASCADE,
    reference_id TEXT NOT NULL,
    type         TEXT NOT NULL,            -- lidar | video
    metadata     TEXT NOT NULL,            -- JSON object
    frame_rate   INTEGER,                  -- of a video of frames
    video_url    TEXT,                     -- of a video file
    UNIQUE (dataset, reference_id)
);

CREATE TABLE IF NOT EXISTS items (
    pk           INTEGER PRIMARY KEY AUTOINCREMENT,
    dataset      INTEGER NOT NULL REFERENCES datasets ON DELETE CASCADE,
    reference_id TEXT NOT NULL,
    url          TEXT NOT NULL,            -- as uploaded; a local path for multipart uploads
    type         TEXT NOT NULL,            -- image | pointcloud
    width        REAL,
    height       REAL,
    metadata     TEXT NOT NULL,            -- JSON object
    embedding    TEXT,                     -- JSON of embedding_info
    sha256       TEXT,                     -- of the bytes, for multipart uploads
    size         INTEGER,                  -- of the bytes
    scene        INTEGER REFERENCES scenes ON DELETE CASCADE,
    frame        INTEGER,                  -- position in the scene
    sensor       TEXT,                     -- of a lidar frame
    UNIQUE (dataset, reference_id)
);
CREATE INDEX IF NOT EXISTS items_of_dataset ON items (dataset);
CREATE INDEX IF NOT EXISTS items_of_scene ON items (scene) WHERE scene IS NOT NULL;

-- `slot` is the key within an item: i:<annotation_id>, s:<id that the server made>,
-- t:<task_id>\n<annotation_id>, m: (mask), c:<taxonomy>.
CREATE TABLE IF NOT EXISTS annotations (
    pk     INTEGER PRIMARY KEY,
    item   INTEGER NOT NULL REFERENCES items ON DELETE CASCADE,
    slot   TEXT NOT NULL,
    type   TEXT NOT NULL,
    label  TEXT,                           -- null for masks and multicategories
    track  TEXT,
    record TEXT NOT NULL,                  -- the line as uploaded
    UNIQUE (item, slot)
);

CREATE TABLE IF NOT EXISTS scene_categories (
    pk     INTEGER PRIMARY KEY,
    scene  INTEGER NOT NULL REFERENCES scenes ON DELETE CASCADE,
    run    INTEGER NOT NULL,               -- 0: ground truth
    slot   TEXT NOT NULL,
    label  TEXT,
    record TEXT NOT NULL,
    UNIQUE (scene, run, slot)
);

CREATE TABLE IF NOT EXISTS taxonomies (
    pk      INTEGER PRIMARY KEY,
    dataset INTEGER NOT NULL REFERENCES datasets ON DELETE CASCADE,
    name    TEXT NOT NULL,
    type    TEXT NOT NULL,
    labels  TEXT NOT NULL,                 -- JSON list
    UNIQUE (dataset, name)
);

CREATE TABLE IF NOT EXISTS tracks (
    pk           INTEGER PRIMARY KEY,
    dataset      INTEGER NOT NULL REFERENCES datasets ON DELETE CASCADE,
    reference_id TEXT NOT NULL,
    metadata     TEXT NOT NULL,
    UNIQUE (dataset, reference_id)
);

-- Tracks that scenes were uploaded with.
CREATE TABLE IF NOT EXISTS scene_tracks (
    scene INTEGER NOT NULL REFERENCES scenes ON DELETE CASCADE,
    track INTEGER NOT NULL REFERENCES tracks ON DELETE CASCADE,
    PRIMARY KEY (scene, track)
) WITHOUT ROWID;

-- A metadata key that held a string once holds strings for ever, and the same for numbers.
CREATE TABLE IF NOT EXISTS metadata_kinds (
    dataset INTEGER NOT NULL REFERENCES datasets ON DELETE CASCADE,
    topic   TEXT NOT NULL,                 -- item | scene | annotation | prediction
    key     TEXT NOT NULL,
    kind    TEXT NOT NULL,                 -- string | number
    PRIMARY KEY (dataset, topic, key)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS models (
    pk             INTEGER PRIMARY KEY AUTOINCREMENT,
    name           TEXT NOT NULL,
    reference_id   TEXT NOT NULL UNIQUE,
    metadata       TEXT NOT NULL,
    tags           TEXT NOT NULL,          -- JSON list
    trained_slices TEXT NOT NULL,          -- JSON list of slice ids
    bundle         TEXT,
    created        TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS weights (
    model        INTEGER PRIMARY KEY REFERENCES models ON DELETE CASCADE,
    filename     TEXT,
    content_type TEXT NOT NULL,
    size         INTEGER NOT NULL,
    sha256       TEXT NOT NULL           -- name of the file in the media folder
);

CREATE TABLE IF NOT EXISTS weight_uploads (
    upload       TEXT PRIMARY KEY,
    model        INTEGER NOT NULL REFERENCES models ON DELETE CASCADE,
    size         INTEGER NOT NULL,       -- as declared
    content_type TEXT,
    filename     TEXT,
    checksum     TEXT                    -- SHA-256 as declared
);

CREATE TABLE IF NOT EXISTS runs (
    pk           INTEGER PRIMARY KEY AUTOINCREMENT,
    model        INTEGER NOT NULL REFERENCES models ON DELETE CASCADE,
    name         TEXT NOT NULL,
    reference_id TEXT,
    metadata     TEXT NOT NULL,
    free         INTEGER NOT NULL,         -- 1: the hidden run of a model's run-free predictions
    committed    INTEGER NOT NULL DEFAULT 0,
    created      TEXT NOT NULL
);

CREATE TRIGGER IF NOT EXISTS run_leaves_scenes AFTER DELETE ON runs BEGIN
    DELETE FROM scene_categories WHERE run = OLD.pk;
END;

CREATE TABLE IF NOT EXISTS run_datasets (
    run     INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    dataset INTEGER NOT NULL REFERENCES datasets ON DELETE CASCADE,
    PRIMARY KEY (run, dataset)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS predictions (
    pk         INTEGER PRIMARY KEY,
    item       INTEGER NOT NULL REFERENCES items ON DELETE CASCADE,
    run        INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    slot       TEXT NOT NULL,
    type       TEXT NOT NULL,
    label      TEXT,
    track      TEXT,
    record     TEXT NOT NULL,
    UNIQUE (item, run, slot)
);
CREATE INDEX IF NOT EXISTS predictions_of_run ON predictions (run);

-- Segmentations of whole point clouds, which can be uploaded and not read.
CREATE TABLE IF NOT EXISTS point_segmentations (
    item INTEGER NOT NULL REFERENCES items ON DELETE CASCADE,
    run  INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    url  TEXT NOT NULL,
    PRIMARY KEY (item, run)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS slices (
    pk      INTEGER PRIMARY KEY AUTOINCREMENT,
    dataset INTEGER NOT NULL REFERENCES datasets ON DELETE CASCADE,
    name    TEXT NOT NULL,
    type    TEXT NOT NULL,                 -- dataset_item | object | scene
    tags    TEXT NOT NULL DEFAULT '[]',
    created TEXT NOT NULL,
    UNIQUE (dataset, name)
);

CREATE TABLE IF NOT EXISTS slice_members (
    pk     INTEGER PRIMARY KEY,
    slice  INTEGER NOT NULL REFERENCES slices ON DELETE CASCADE,
    kind   TEXT NOT NULL,                  -- di | scn | ann | pred
    member INTEGER NOT NULL,
    UNIQUE (slice, kind, member)
);
CREATE INDEX IF NOT EXISTS slices_of_member ON slice_members (member, kind);
CREATE TRIGGER IF NOT EXISTS item_leaves_slices AFTER DELETE ON items BEGIN
    DELETE FROM slice_members WHERE kind = 'di' AND member = OLD.pk;
END;
CREATE TRIGGER IF NOT EXISTS scene_leaves_slices AFTER DELETE ON scenes BEGIN
    DELETE FROM slice_members WHERE kind = 'scn' AND member = OLD.pk;
END;

CREATE TABLE IF NOT EXISTS benchmarks (
    pk            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT NOT NULL,
    description   TEXT,
    metadata      TEXT,
    status        TEXT NOT NULL,           -- draft | building | ready | failed
    building      INTEGER NOT NULL,        -- jobs in flight
    skipped       INTEGER NOT NULL,        -- items without ground truth
    parent        INTEGER,
    version_major INTEGER NOT NULL,
    version_minor INTEGER NOT NULL,
    version_label TEXT,
    taxonomy      TEXT NOT NULL,           -- JSON: rollup_groups, allowed_label_matches_id, class_agnostic
    created       TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS benchmark_members (
    benchmark INTEGER NOT NULL REFERENCES benchmarks ON DELETE CASCADE,
    item      INTEGER NOT NULL REFERENCES items ON DELETE CASCADE,
    PRIMARY KEY (benchmark, item)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS benchmarks_of_item ON benchmark_members (item);

CREATE TABLE IF NOT EXISTS evaluations (
    pk              INTEGER PRIMARY KEY AUTOINCREMENT,
    benchmark       INTEGER NOT NULL,
    model           INTEGER NOT NULL,
    run             INTEGER,               -- null: all of the model's runs and its run-free predictions
    name            TEXT,
    status          TEXT NOT NULL,         -- pending | computing | succeeded | failed | cancelled
    error           TEXT,
    rollup_groups   TEXT,                  -- JSON or null
    exclusion_rules TEXT,                  -- JSON or null
    exclusion_stats TEXT,                  -- JSON or null
    class_agnostic  INTEGER NOT NULL,
    boxes           TEXT,                  -- JSON: the boxes as they were when it was computed (boxes.py)
    charts          TEXT,                  -- JSON: the charts at IoU 0.5 without filters
    created         TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS presets (
    pk              INTEGER PRIMARY KEY AUTOINCREMENT,
    name            TEXT NOT NULL UNIQUE,
    rollup_groups   TEXT,
    exclusion_rules TEXT,
    created         TEXT NOT NULL,
    updated         TEXT NOT NULL
);

-- Every call of calculateEvaluationMetrics; Nucleus answers nothing of use, so the emulator remembers the call.
CREATE TABLE IF NOT EXISTS metric_calls (
    pk      INTEGER PRIMARY KEY,
    dataset INTEGER NOT NULL REFERENCES datasets ON DELETE CASCADE,
    model   INTEGER NOT NULL REFERENCES models ON DELETE CASCADE,
    options TEXT NOT NULL,
    created TEXT NOT NULL
);

-- What calculateEvaluationMetrics found, as it was then (label_matches.py).
CREATE TABLE IF NOT EXISTS metric_matches (
    pk               INTEGER PRIMARY KEY,
    dataset          INTEGER NOT NULL REFERENCES datasets ON DELETE CASCADE,
    run              INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    item             INTEGER NOT NULL REFERENCES items ON DELETE CASCADE,
    prediction       INTEGER,              -- null: a ground truth that nothing found
    annotation       INTEGER,              -- null: a prediction that found nothing
    prediction_label TEXT,
    annotation_label TEXT,
    iou              REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS matches_of_run ON metric_matches (run, dataset);
CREATE INDEX IF NOT EXISTS matches_of_item ON metric_matches (item);

-- What a job did, written in the transaction that did it: a job taken up after a crash is not done twice.
CREATE TABLE IF NOT EXISTS done_jobs (
    job     INTEGER PRIMARY KEY,
    outcome TEXT NOT NULL
);
