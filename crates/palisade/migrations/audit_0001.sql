-- What was done that somebody may have to answer for, each record chained to the one before by its hash. The
-- head is the newest record; whoever appends takes it first, so that numbers have no gaps. Nothing removes a
-- record.
CREATE TABLE palisade_audit (
    number BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    origin TEXT NOT NULL,
    outcome TEXT NOT NULL,
    hash TEXT NOT NULL
);

CREATE TABLE palisade_audit_head (
    id INTEGER NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL,
    hash TEXT NOT NULL
);

INSERT INTO palisade_audit_head (id, number, hash) VALUES (1, 0, '');

CREATE TABLE palisade_audit_checkpoints (
    number BIGINT NOT NULL PRIMARY KEY,
    hash TEXT NOT NULL,
    at BIGINT NOT NULL,
    signature TEXT NOT NULL
);
