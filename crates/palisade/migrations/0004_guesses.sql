-- Budgets of wrong guesses: for whom, by a keyed hash, and when the budget is full again, in milliseconds
-- since 1970. Whoever is not here has a full one.
CREATE TABLE palisade_guesses (
    subject BLOB NOT NULL PRIMARY KEY,
    full_at BIGINT NOT NULL
);

CREATE INDEX palisade_guesses_by_end ON palisade_guesses (full_at);
