-- What an account proves itself with beside its password. A secret lies here sealed; of recovery codes and
-- reset tokens only the hash is kept. A factor counts once its secret is set; `pending` waits for its first
-- code. `last_step` is the step of the last code that was taken: none of it or before it is taken again.
CREATE TABLE second_factors (
    account TEXT NOT NULL PRIMARY KEY REFERENCES accounts (id),
    secret TEXT,
    pending TEXT,
    last_step BIGINT NOT NULL
);

CREATE TABLE recovery_codes (
    account TEXT NOT NULL REFERENCES accounts (id),
    code_hash BLOB NOT NULL,
    PRIMARY KEY (account, code_hash)
);

CREATE TABLE password_resets (
    account TEXT NOT NULL PRIMARY KEY REFERENCES accounts (id),
    token_hash BLOB NOT NULL UNIQUE,
    expires_at BIGINT NOT NULL
);

CREATE INDEX password_resets_by_end ON password_resets (expires_at);
