//! One text of SQL for both databases, adapted to each.
//!
//! Authors write `CREATE TABLE`, `CREATE [UNIQUE] INDEX`, `ALTER TABLE`, `DROP`, `INSERT`,
//! `UPDATE` and `DELETE`, each ended by `;`, with the column types `INTEGER`, `BIGINT`, `TEXT`
//! and `BLOB`. For SQLite a table becomes `STRICT` and `BIGINT` becomes `INTEGER`, which holds 64
//! bits there. Types that are none of those are then refused by SQLite itself. For PostgreSQL `BLOB`
//! becomes `BYTEA`, and `TEXT` is compared byte by byte, as SQLite does, and not by a language.

use super::tx::Dialect;

/// Returns the statements of `sql` as the database takes them, or what is wrong with the text.
pub(super) fn statements(sql: &str, dialect: Dialect) -> Result<Vec<String>, &'static str> {
    let mut statements = Vec::new();
    let mut statement = Statement::of(dialect);
    let mut rest = sql;
    while let Some((kind, token, after)) = next_token(rest)? {
        rest = after;
        match kind {
            Kind::End => statements
                .extend(std::mem::replace(&mut statement, Statement::of(dialect)).finish()?),
            Kind::Comment => statement.text.push(' '),
            Kind::Word => statement.word(token)?,
            Kind::Other => statement.text.push_str(token),
        }
    }
    if !statement.text.trim().is_empty() {
        return Err("every statement ends with a semicolon");
    }
    Ok(statements)
}

struct Statement {
    dialect: Dialect,
    text: String,
    words: usize,
    first: String,
    creates_table: bool,
    changes_table: bool,
}

impl Statement {
    fn of(dialect: Dialect) -> Self {
        Self {
            dialect,
            text: String::new(),
            words: 0,
            first: String::new(),
            creates_table: false,
            changes_table: false,
        }
    }

    fn word(&mut self, word: &str) -> Result<(), &'static str> {
        let known = word.to_ascii_uppercase();
        self.words += 1;
        match self.words {
            1 => self.first.clone_from(&known),
            2 => {
                self.creates_table = self.first == "CREATE" && known == "TABLE";
                self.changes_table = self.creates_table || self.first == "ALTER";
                check_kind(&self.first, &known)?;
            }
            _ => {}
        }
        if self.changes_table && known == "DEFERRABLE" {
            return Err("a deferred constraint would fail the commit of others");
        }
        if self.creates_table && known == "SELECT" {
            return Err("a table made from a SELECT has no types");
        }
        let adapted = match (self.dialect, known.as_str()) {
            (Dialect::Sqlite, "BIGINT") => "INTEGER",
            (Dialect::Postgres, "BLOB") => "BYTEA",
            (Dialect::Postgres, "TEXT") => "TEXT COLLATE \"C\"",
            _ => word,
        };
        self.text.push_str(if self.changes_table { adapted } else { word });
        Ok(())
    }

    fn finish(self) -> Result<Option<String>, &'static str> {
        let text = self.text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        if self.words < 2 {
            return Err("this kind of statement is not allowed in a migration");
        }
        if !self.creates_table {
            return Ok(Some(text.to_owned()));
        }
        if !text.ends_with(')') {
            return Err("a CREATE TABLE ends with the parenthesis of its columns");
        }
        Ok(Some(match self.dialect {
            Dialect::Sqlite => format!("{text} STRICT"),
            Dialect::Postgres => text.to_owned(),
        }))
    }
}

fn check_kind(first: &str, second: &str) -> Result<(), &'static str> {
    let allowed = match first {
        "CREATE" => matches!(second, "TABLE" | "INDEX" | "UNIQUE"),
        "DROP" => matches!(second, "TABLE" | "INDEX"),
        "ALTER" => second == "TABLE",
        "INSERT" => second == "INTO",
        "DELETE" => second == "FROM",
        "UPDATE" => true,
        _ => false,
    };
    if allowed { Ok(()) } else { Err("this kind of statement is not allowed in a migration") }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Word,
    Comment,
    End,
    Other,
}

/// Splits the next token off: its kind, itself, and what follows.
fn next_token(rest: &str) -> Result<Option<(Kind, &str, &str)>, &'static str> {
    let Some(first) = rest.chars().next() else {
        return Ok(None);
    };
    let is_of_word = |symbol: char| symbol.is_alphanumeric() || symbol == '_';
    let (kind, length) = match first {
        '\'' | '"' => (Kind::Other, closed(rest, 1, if first == '"' { "\"" } else { "'" })?),
        '-' if rest.starts_with("--") => (Kind::Comment, rest.find('\n').unwrap_or(rest.len())),
        '/' if rest.starts_with("/*") => (Kind::Comment, closed(rest, 2, "*/")?),
        ';' => (Kind::End, 1),
        _ if is_of_word(first) => {
            (Kind::Word, rest.find(|symbol| !is_of_word(symbol)).unwrap_or(rest.len()))
        }
        _ => (Kind::Other, first.len_utf8()),
    };
    let (token, after) = rest.split_at_checked(length).ok_or("the text cannot be read")?;
    Ok(Some((kind, token, after)))
}

/// Returns the length up to the end of `close`. A doubled quote is read as two texts in a row.
fn closed(rest: &str, opened: usize, close: &str) -> Result<usize, &'static str> {
    let inside = rest.get(opened..).and_then(|inside| inside.find(close));
    let inside = inside.ok_or("a quotation or a comment does not end")?;
    Ok(opened + inside + close.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_becomes_strict_and_its_wide_numbers_integers() {
        let sql = "-- orders; first
            CREATE TABLE a (id bigint, note TEXT DEFAULT 'BIGINT; ''x''') -- end
            ; CREATE INDEX a_id ON a (id); /* ; */";

        let found = statements(sql, Dialect::Sqlite).unwrap();

        let table = "CREATE TABLE a (id INTEGER, note TEXT DEFAULT 'BIGINT; ''x''') STRICT";
        assert_eq!(found[0].split_whitespace().collect::<Vec<_>>().join(" "), table);
        assert_eq!(found[1], "CREATE INDEX a_id ON a (id)");
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_table_for_postgresql_has_its_names_of_types_and_compares_bytes() {
        let sql = "CREATE TABLE a (id TEXT NOT NULL, key BLOB, at bigint, n INTEGER);
            INSERT INTO a VALUES ('TEXT', 'BLOB');";

        let found = statements(sql, Dialect::Postgres).unwrap();

        let table =
            "CREATE TABLE a (id TEXT COLLATE \"C\" NOT NULL, key BYTEA, at bigint, n INTEGER)";
        assert_eq!(found, [table, "INSERT INTO a VALUES ('TEXT', 'BLOB')"]);
    }

    #[test]
    fn what_is_not_portable_or_not_safe_is_refused() {
        let refused = [
            "CREATE TABLE a (id TEXT)",
            "CREATE TABLE a AS SELECT 1;",
            "CREATE TABLE a (id TEXT) WITHOUT ROWID;",
            "CREATE TABLE a (b TEXT REFERENCES b (id) DEFERRABLE INITIALLY DEFERRED);",
            "CREATE TRIGGER a AFTER INSERT ON b BEGIN SELECT 1; END;",
            "CREATE TEMP TABLE a (id TEXT);",
            "PRAGMA foreign_keys = OFF;",
            "COMMIT;",
            "ATTACH DATABASE 'x' AS y;",
            "INSERT INTO a VALUES ('open);",
            "/* open",
        ];

        for sql in refused {
            assert!(statements(sql, Dialect::Sqlite).is_err(), "{sql}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_upsets_the_reader(sql in "[a-zA-Z_'\"/*;() \n-]{0,60}|\\PC{0,40}") {
            drop(statements(&sql, Dialect::Sqlite));
        }
    }
}
