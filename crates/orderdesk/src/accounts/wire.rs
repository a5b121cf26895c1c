//! Accounts as the API takes and shows them: what goes out holds no password, key or trace of one.

use palisade::clock::Timestamp;
use palisade::crypto::Password;
use palisade::input::{Errors, Json, Pointer};

use super::actions::check_password;
use super::{Account, AccountId, EmailAddress, NewUsername, Role, Username};

palisade::body! {
    /// What somebody sends to open an account.
    pub struct SignUp checked by check_sign_up {
        /// The name to sign in with; stored in lower case.
        pub username: NewUsername,
        /// Where mail for the account goes; stored in lower case.
        pub email: EmailAddress,
        /// The password.
        pub password: Password,
    }
}

palisade::view! {
    /// An account.
    pub struct AccountView {
        /// Names the account.
        pub id: AccountId,
        /// The name it signs in with, in lower case.
        pub username: Username,
        /// Where mail for it goes, in lower case.
        pub email: EmailAddress,
        /// What it may do.
        pub role: Role,
        /// When it was made.
        pub created_at: Timestamp,
    }
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        let Account { id, username, email, role, created_at } = account;
        Self { id, username, email, role, created_at }
    }
}

/// Records a password that is one of the account's names, also where a name is not allowed.
fn check_sign_up(document: &Json<'_>, at: &Pointer<'_>, errors: &mut Errors) {
    let names = (text(document, "username"), text(document, "email"));
    let (Some(Ok(password)), (username, email)) =
        (text(document, "password").map(Password::new), names)
    else {
        return;
    };
    let judged = check_password(&password, username.unwrap_or_default(), email.unwrap_or_default());
    if let Err(why) = judged {
        errors.invalid(&at.member("password"), why);
    }
}

fn text<'a>(document: &'a Json<'a>, name: &str) -> Option<&'a str> {
    let Json::Object(members) = document else { return None };
    match members.iter().find(|(known, _)| known == name) {
        Some((_, Json::String(text))) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use palisade::id::Id;
    use palisade::input::{FromText, Rejection, Schema, read_json};

    use super::*;

    palisade::body! {
        /// The two members of a sign-up that this module judges.
        struct Names {
            /// The name.
            username: Username,
            /// The address.
            email: EmailAddress,
        }
    }

    #[test]
    fn names_are_stored_in_one_form() {
        let body = br#"{"username":"  Alice42 ","email":"Alice@Example.COM"}"#;

        let names: Names = read_json(body).unwrap();

        assert_eq!(names.username.as_str(), "alice42");
        assert_eq!(names.email.as_str(), "alice@example.com");
    }

    #[test]
    fn a_space_inside_a_username_is_named_with_its_place() {
        let refused = read_json::<Names>(br#"{"username":"a b","email":"a@b.example"}"#);

        let Err(Rejection::Invalid(violations)) = refused else { panic!("{refused:?}") };
        assert_eq!(violations.len(), 1);
        assert_eq!(
            (violations[0].pointer.as_str(), violations[0].code),
            ("/username", "characters")
        );
    }

    #[test]
    fn an_account_shows_exactly_what_the_contract_lists() {
        let account = Account {
            id: Id::new_at(Timestamp::from_millis(0)),
            username: Username::from_text("Ada").unwrap(),
            email: EmailAddress::from_text("Ada@Example.com").unwrap(),
            role: Role::Customer,
            created_at: Timestamp::from_millis(0),
        };
        let expected = format!(
            r#"{{"id":"{}","username":"ada","email":"ada@example.com","role":"customer","created_at":"1970-01-01T00:00:00.000Z"}}"#,
            account.id
        );

        let shown = serde_json::to_string(&AccountView::from(account)).unwrap();

        assert_eq!(shown, expected);
        let required = AccountView::schema()["required"].clone();
        assert_eq!(required, serde_json::json!(["id", "username", "email", "role", "created_at"]));
    }
}
