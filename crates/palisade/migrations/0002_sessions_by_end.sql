CREATE INDEX palisade_sessions_by_end ON palisade_sessions (expires_at);
