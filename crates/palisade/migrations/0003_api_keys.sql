-- When the account last proved itself in the session, and whether a second factor was part of it.
-- What was open before this is asked again.
ALTER TABLE palisade_sessions ADD COLUMN proved_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE palisade_sessions ADD COLUMN second_factor BIGINT NOT NULL DEFAULT 0;

CREATE TABLE palisade_api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL,
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    token_hash BLOB NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    used_at BIGINT,
    expires_at BIGINT NOT NULL
);

CREATE INDEX palisade_api_keys_by_account ON palisade_api_keys (account, id);
CREATE INDEX palisade_api_keys_by_end ON palisade_api_keys (expires_at);
