//! Secrets that were found are made known, so that the log never has them.

use data_encoding::HEXLOWER_PERMISSIVE;

use super::SecretError;
use crate::secret::{Secret, Unregistered, register};

/// Registers `secret` and the passwords in it. What is too short is for the check of the deployment
/// to report.
pub(super) fn keep_out_of_the_log(name: &str, secret: &Secret<String>) -> Result<(), SecretError> {
    let passwords = passwords_in(secret.expose());
    for secret in passwords.iter().chain([secret]) {
        if let Err(fault @ Unregistered::TooMany) = register(secret) {
            return Err(SecretError::TooMany { name: name.to_owned(), fault });
        }
    }
    Ok(())
}

/// Returns what may be a password if `text` is a URL, as it is written and as it is meant:
/// `scheme://user:password@host`, where the password may hold what it should not, and
/// `?password=...` as libpq takes it.
fn passwords_in(text: &str) -> Vec<Secret<String>> {
    let Some((_, rest)) = text.split_once("://") else { return Vec::new() };
    let authority = rest.split(['/', '?', '#']).next();
    let mut found: Vec<&str> = Vec::new();
    for part in authority.into_iter().chain([rest]) {
        let user_info = part.rsplit_once('@').map(|(user_info, _)| user_info);
        found.extend(user_info.and_then(|text| text.split_once(':')).map(|(_, password)| password));
    }
    let query = rest.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    found.extend(pairs.filter(|(key, _)| key.ends_with("password")).map(|(_, value)| value));
    found
        .iter()
        .flat_map(|password| [(*password).to_owned(), decoded(password)])
        .map(Secret::new)
        .collect()
}

/// Resolves percent-encoding; what is none stays.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let pair = after.first_chunk::<2>().filter(|_| *first == b'%');
        let byte = pair.and_then(|pair| HEXLOWER_PERMISSIVE.decode(pair).ok()?.first().copied());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::config::{Environment, Secrets};

    #[test]
    fn whatever_is_found_is_kept_out_of_the_log_and_so_is_a_password_inside_of_it() {
        let environment = Environment::from_pairs([
            ("API_KEY", "key of the api"),
            ("DATABASE_URL", "postgres://desk:hunter2%2Fhunter2@db.internal/orders"),
            ("OTHER_URL", "postgres://desk@db.internal/orders?sslpassword=hunter3hunter3&a=b"),
            ("CARELESS_URL", "postgres://desk:hunter4/hunter4@db.internal/orders"),
        ]);
        let secrets = Secrets::of(&environment);

        for name in ["API_KEY", "DATABASE_URL", "OTHER_URL", "CARELESS_URL"] {
            secrets.require(name).expect("the secret");
        }

        let said = crate::secret::redacted(
            "key of the api, hunter2%2Fhunter2, hunter2/hunter2, hunter3hunter3, hunter4/hunter4, \
             db.internal, postgres://desk:hunter2%2Fhunter2@db.internal/orders",
        );
        assert_eq!(said, format!("{0}, {0}, {0}, {0}, {0}, db.internal, {0}", "[redacted]"));
    }
}
