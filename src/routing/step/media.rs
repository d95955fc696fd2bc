//! What is played, whom to call, which address: texts with a form of their own, which may hold variables.

use std::fmt;

use super::template::Template;
use crate::routing::read::{read_from_text, shown, unknown};

/// Schemes of a [`Media`], as ARI's `play` has them, and the two of addresses.
pub const SCHEMES: &[&str] = &["sound", "recording", "number", "digits", "characters", "tone", "http", "https"];

/// Something to play, as ARI's `play` names it: `sound:hello`, `recording:x`, `number:12`, `digits:34`, `characters:ab`,
/// `tone:busy`, or an address (`https://...`), which Asterisk fetches itself (`res_http_media_cache`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Media(Template);

impl Media {
    /// As written.
    pub fn template(&self) -> &Template {
        &self.0
    }

    /// The sound's name, where it is one of Asterisk's sounds and the same for every call.
    pub fn sound(&self) -> Option<&str> {
        self.0.as_str().strip_prefix("sound:").filter(|_| self.0.is_fixed())
    }

    /// The media URI for ARI, variables put in.
    ///
    /// # Errors
    /// The text has no scheme that ARI knows once the variables are in it.
    pub fn uri(&self, value: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
        checked(self.0.expand(value))
    }
}

/// The media URI of a text without variables.
pub(super) fn checked(text: String) -> Result<String, String> {
    match scheme(&text)? {
        "http" | "https" => Ok(format!("sound:{text}")),
        _ => Ok(text),
    }
}

/// The known scheme of a medium. ARI splits at commas, so one would make two media of it.
fn scheme(text: &str) -> Result<&str, String> {
    if text.contains(',') {
        return Err(format!("'{}' has a comma: write several media as a list, and %2C in an address", shown(text)));
    }
    match text.split_once(':') {
        Some((scheme, rest)) if SCHEMES.contains(&scheme) && !rest.is_empty() => Ok(scheme),
        Some((scheme, "")) if SCHEMES.contains(&scheme) => Err(format!("nothing stands behind '{scheme}:'")),
        Some((scheme, _)) => Err(unknown("kind of media", scheme, SCHEMES)),
        None => Err(format!("'{0}' has no kind; for a sound of Asterisk write 'sound:{0}'", shown(text))),
    }
}

impl TryFrom<&str> for Media {
    type Error = String;

    fn try_from(text: &str) -> Result<Self, String> {
        // Whose kind is in a variable is known once the call is there.
        if !text.starts_with("${") {
            scheme(text)?;
        }
        Template::try_from(text).map(Self)
    }
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

read_from_text!(Media, "a text such as \"sound:hello\"", 20, {
    "pattern": "^(sound:|recording:|number:|digits:|characters:|tone:|https?:|\\$\\{)."
});

/// Whom to call, as Asterisk names it: `PJSIP/101`, `PJSIP/+49301234@trunk`, `Local/500@internal`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target(Template);

impl Target {
    /// As written.
    pub fn template(&self) -> &Template {
        &self.0
    }

    /// The endpoint, variables put in.
    ///
    /// # Errors
    /// It is no endpoint once the variables are in it.
    pub fn endpoint(&self, value: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
        let text = self.0.expand(value);
        if is_endpoint(&text) { Ok(text) } else { Err(no_endpoint(&text)) }
    }
}

/// Technology and resource. What separates targets or options in Asterisk's `Dial` is refused: a variable must not add a
/// second target.
fn is_endpoint(text: &str) -> bool {
    text.split_once('/').is_some_and(|(technology, resource)| {
        let letters = technology.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'_');
        let inside = |letter: char| !letter.is_whitespace() && !letter.is_control() && !"&|,;^".contains(letter);
        !technology.is_empty() && letters && !resource.is_empty() && resource.chars().all(inside)
    })
}

fn no_endpoint(text: &str) -> String {
    format!("'{}' is no endpoint; expected technology and name such as 'PJSIP/101'", shown(text))
}

impl TryFrom<&str> for Target {
    type Error = String;

    fn try_from(text: &str) -> Result<Self, String> {
        let template = Template::try_from(text)?;
        let example = template.expand(&|_| Some("x".to_owned()));
        if text.starts_with("${") || is_endpoint(&example) { Ok(Self(template)) } else { Err(no_endpoint(text)) }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

read_from_text!(Target, "an endpoint such as \"PJSIP/101\"", 32, { "pattern": "^([A-Za-z0-9_]+/.|\\$\\{)" });

/// Where a webhook is asked: an address with `http` or `https`. It is the same for every call and holds no password:
/// who asks is shown by the signature.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HookUrl(String);

impl HookUrl {
    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for HookUrl {
    type Error = String;

    fn try_from(text: &str) -> Result<Self, String> {
        let url = url::Url::parse(text).map_err(|error| format!("this is no address: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err("an address with http:// or https:// is expected".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("an address must hold no user or password; name a `secret` instead".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

read_from_text!(HookUrl, "an address such as \"https://...\"", 1, { "format": "uri", "pattern": "^https?://" });

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str) -> Option<String> {
        match name {
            "greeting" => Some("sound:hi".to_owned()),
            "number" => Some("101".to_owned()),
            "list" => Some("a,sound:b".to_owned()),
            "two" => Some("101&PJSIP/900".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn media_have_a_kind() {
        for (text, uri) in [
            ("sound:hello", "sound:hello"),
            ("number:${number}", "number:101"),
            ("${greeting}", "sound:hi"),
            ("https://x.org/a.wav", "sound:https://x.org/a.wav"),
        ] {
            assert_eq!(Media::try_from(text).unwrap().uri(&value).as_deref(), Ok(uri));
        }
        for (text, hint) in [
            ("hello", "'sound:hello'"),
            ("sund:x", "did you mean 'sound'?"),
            ("tone:", "nothing stands"),
            ("sound:a,sound:b", "as a list"),
        ] {
            let error = Media::try_from(text).unwrap_err();
            assert!(error.contains(hint), "{error}");
        }
        for text in ["${none}", "sound:${list}"] {
            assert!(Media::try_from(text).unwrap().uri(&value).is_err(), "{text}");
        }
    }

    #[test]
    fn only_a_fixed_sound_has_a_name_to_look_for() {
        let sound = |text| Media::try_from(text).unwrap().sound().map(str::to_owned);
        assert_eq!(sound("sound:a/b").as_deref(), Some("a/b"));
        assert!(sound("sound:${x}").is_none() && sound("tone:busy").is_none());
    }

    #[test]
    fn a_variable_adds_no_second_target() {
        let endpoint = |text| Target::try_from(text).unwrap().endpoint(&value);
        assert_eq!(endpoint("PJSIP/${number}@trunk").as_deref(), Ok("PJSIP/101@trunk"));
        assert!(endpoint("PJSIP/${two}").is_err() && endpoint("${none}").is_err());
        for text in ["101", "/101", "PJSIP/", "PJSIP/1&PJSIP/2", "PJSIP/1 2", "P J/1"] {
            assert!(Target::try_from(text).unwrap_err().contains("'PJSIP/101'"), "{text}");
        }
    }

    #[test]
    fn an_address_holds_no_password() {
        assert!(HookUrl::try_from("https://x.org/route?a=1").is_ok());
        for text in ["x.org", "ftp://x.org", "https://u:p@x.org/", "https://u@x.org/", ""] {
            assert!(HookUrl::try_from(text).is_err(), "{text}");
        }
        assert!(!HookUrl::try_from("https://u:hush@x.org/").unwrap_err().contains("hush"));
    }
}
