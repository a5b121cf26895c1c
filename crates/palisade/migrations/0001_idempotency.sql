-- One row for each key that a request brought: what it was used for, and what was answered.
-- A row is written in one transaction with what its request did; status and body are empty only
-- until that transaction ends.
CREATE TABLE palisade_idempotency (
    key_hash BLOB NOT NULL PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    expires_at BIGINT NOT NULL,
    status INTEGER,
    content_type TEXT,
    location TEXT,
    entity_tag TEXT,
    body BLOB
);

CREATE INDEX palisade_idempotency_by_end ON palisade_idempotency (expires_at);
