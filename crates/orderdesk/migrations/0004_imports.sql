-- An upload lies here in chunks of one size, the last one shorter, so that a place in the file tells
-- its chunk. What was worked off is counted by bytes, lines and rows in the same transaction as what
-- came of it; only who holds the lease writes that down.
CREATE TABLE imports (
    id TEXT NOT NULL PRIMARY KEY,
    actor TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('uploading', 'queued', 'running', 'done', 'failed')),
    bytes BIGINT NOT NULL CHECK (bytes >= 0),
    byte_offset BIGINT NOT NULL,
    next_line BIGINT NOT NULL CHECK (next_line >= 1),
    rows_read BIGINT NOT NULL CHECK (rows_read >= 0),
    rows_rejected BIGINT NOT NULL CHECK (rows_rejected >= 0),
    orders_created BIGINT NOT NULL CHECK (orders_created >= 0),
    attempts BIGINT NOT NULL CHECK (attempts >= 0),
    lease TEXT,
    lease_until BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CHECK (byte_offset BETWEEN 0 AND bytes),
    CHECK (rows_rejected <= rows_read),
    CHECK ((lease IS NOT NULL) = (status = 'running')),
    CHECK ((lease_until IS NULL) = (lease IS NULL))
);

CREATE INDEX imports_by_status ON imports (status, id);

CREATE TABLE import_chunks (
    import_id TEXT NOT NULL REFERENCES imports (id),
    number BIGINT NOT NULL CHECK (number >= 0),
    content BLOB NOT NULL,
    PRIMARY KEY (import_id, number)
);

CREATE TABLE import_rejections (
    import_id TEXT NOT NULL REFERENCES imports (id),
    line BIGINT NOT NULL CHECK (line >= 1),
    code TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (import_id, line)
);

-- Which order came of which reference, so that a file that comes twice makes nothing twice.
CREATE TABLE imported_orders (
    customer TEXT NOT NULL REFERENCES accounts (id),
    reference TEXT NOT NULL,
    digest BLOB NOT NULL,
    order_id TEXT NOT NULL REFERENCES orders (id),
    PRIMARY KEY (customer, reference)
);
