//! What a settings file may be before anybody parses it: so deep, and so many keys.
//!
//! The parser calls itself for what is nested. How deep it goes is bounded by the parser only as
//! long as no crate of the whole build turns that off (a feature of `toml`), so it is bounded here,
//! on the parser's own tokens, in one pass that calls nothing again.

use std::ops::ControlFlow;

use toml_parser::Source;
use toml_parser::lexer::{Token, TokenKind};

use super::Wrong;

/// Deepest nesting of brackets, and longest dotted key. A list of a section is three deep.
const DEEPEST: usize = 16;

/// Most keys and sections; the whole example has a few dozen.
const MOST_KEYS: usize = 4096;

/// What is too much, and the byte at which it is.
pub(super) type Excess = (usize, Wrong);

/// Refuses `text` at the first place where it is too deep or too long.
pub(super) fn check(text: &str) -> Result<(), Excess> {
    let mut seen = Seen::default();
    match Source::new(text).lex().try_for_each(|token| seen.take(token)) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(excess) => Err(excess),
    }
}

/// What the tokens so far amount to.
#[derive(Default)]
struct Seen {
    /// The brackets that are open. What does not match closes nothing, so that this is never less
    /// deep than the parser is.
    open: Vec<TokenKind>,
    /// The dots of the key or number that is being read.
    dots: usize,
    /// Every key has its `=` and every section its `[`.
    keys: usize,
}

impl Seen {
    fn take(&mut self, token: Token) -> ControlFlow<Excess> {
        match token.kind() {
            kind @ (TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket) => {
                self.open.push(kind);
                self.keys += usize::from(self.open.len() == 1);
                self.dots = 0;
            }
            TokenKind::RightSquareBracket => self.close(TokenKind::LeftSquareBracket),
            TokenKind::RightCurlyBracket => self.close(TokenKind::LeftCurlyBracket),
            TokenKind::Dot => self.dots += 1,
            TokenKind::Equals => (self.keys, self.dots) = (self.keys + 1, 0),
            TokenKind::Comma | TokenKind::Newline => self.dots = 0,
            TokenKind::Whitespace
            | TokenKind::Comment
            | TokenKind::LiteralString
            | TokenKind::BasicString
            | TokenKind::MlLiteralString
            | TokenKind::MlBasicString
            | TokenKind::Atom
            | TokenKind::Eof => {}
        }
        let at = token.span().start();
        if self.open.len() > DEEPEST || self.dots > DEEPEST {
            return ControlFlow::Break((at, Wrong::TooDeep { deepest: DEEPEST }));
        }
        if self.keys > MOST_KEYS {
            return ControlFlow::Break((at, Wrong::TooManyKeys { most: MOST_KEYS }));
        }
        ControlFlow::Continue(())
    }

    fn close(&mut self, opened: TokenKind) {
        self.open.pop_if(|last| *last == opened);
        self.dots = 0;
    }
}
