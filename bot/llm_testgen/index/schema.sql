-- Facts of a blob: they hold whatever its path is, and stay when no file has that blob any more.
CREATE TABLE IF NOT EXISTS source_blob (
    id INTEGER PRIMARY KEY,
    blob TEXT NOT NULL UNIQUE,   -- git's id
    error TEXT NOT NULL,         -- why it was not parsed; empty when it was
    interface TEXT NOT NULL,     -- digest of what other files' calls may depend on
    imported TEXT NOT NULL,      -- digest of the modules that it imports by their absolute names
    facts TEXT NOT NULL,         -- JSON, as llm_testgen.index.packing writes it: for the resolver, which wants all at once
    text BLOB NOT NULL,          -- zlib, UTF-8
    classes INTEGER NOT NULL,    -- how many, as are the others
    methods INTEGER NOT NULL,
    tests INTEGER NOT NULL,      -- if it is a file of tests
    fixtures INTEGER NOT NULL,
    calls INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS definition (
    blob_id INTEGER NOT NULL REFERENCES source_blob (id),
    ordinal INTEGER NOT NULL,
    qualname TEXT NOT NULL,
    kind TEXT NOT NULL,
    start_line INTEGER NOT NULL,
    end_line INTEGER NOT NULL,
    signature TEXT NOT NULL,
    docstring TEXT NOT NULL,
    accessor INTEGER NOT NULL,   -- 1 for the setter or deleter of a property
    PRIMARY KEY (blob_id, ordinal)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS definition_by_qualname ON definition (qualname, blob_id);

CREATE TABLE IF NOT EXISTS imported_name (
    blob_id INTEGER NOT NULL REFERENCES source_blob (id),
    ordinal INTEGER NOT NULL,
    owner TEXT NOT NULL,
    bound TEXT NOT NULL,
    module TEXT NOT NULL,
    name TEXT NOT NULL,
    level INTEGER NOT NULL,
    PRIMARY KEY (blob_id, ordinal)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS imported_name_by_bound ON imported_name (bound);

-- The tree of the last update, and what its calls, imports and classes resolve to.
CREATE TABLE IF NOT EXISTS source_file (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    blob_id INTEGER NOT NULL REFERENCES source_blob (id),
    is_test INTEGER NOT NULL,
    resolved INTEGER NOT NULL    -- how many of its calls lead to a definition of the project
);
CREATE INDEX IF NOT EXISTS source_file_by_blob ON source_file (blob_id);

CREATE TABLE IF NOT EXISTS call_edge (
    file_id INTEGER NOT NULL REFERENCES source_file (id),
    owner TEXT NOT NULL,
    position INTEGER NOT NULL,   -- that of the call; a fixture that is requested has a negative one
    target_file_id INTEGER NOT NULL REFERENCES source_file (id),
    target TEXT NOT NULL,
    PRIMARY KEY (file_id, owner, position)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS call_edge_by_target ON call_edge (target_file_id, target);

CREATE TABLE IF NOT EXISTS import_edge (
    file_id INTEGER NOT NULL REFERENCES source_file (id),
    target_file_id INTEGER NOT NULL REFERENCES source_file (id),
    PRIMARY KEY (file_id, target_file_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS import_edge_by_target ON import_edge (target_file_id);

CREATE TABLE IF NOT EXISTS class_ancestor (
    file_id INTEGER NOT NULL REFERENCES source_file (id),
    class TEXT NOT NULL,
    position INTEGER NOT NULL,   -- place in the method resolution order, the class itself left out
    ancestor_file_id INTEGER NOT NULL REFERENCES source_file (id),
    ancestor TEXT NOT NULL,
    PRIMARY KEY (file_id, class, position)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS class_ancestor_by_ancestor ON class_ancestor (ancestor_file_id, ancestor);

CREATE TABLE IF NOT EXISTS fixture_name (
    file_id INTEGER NOT NULL REFERENCES source_file (id),
    name TEXT NOT NULL,
    PRIMARY KEY (file_id, name)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS index_meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
