//! An event's JSON without needless whitespace, as the raw log keeps it.
//!
//! Nothing else is taken away: the body is the event as Asterisk sent it.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// JSON text without whitespace between its tokens (Asterisk puts it there with `pretty = yes`). Where there
/// is none, which is the rule, the text itself is given back after a look at its beginning. `raw` must be
/// JSON; what is not comes back as some text, never as a panic.
pub fn compact_body(raw: &str) -> Cow<'_, str> {
    if is_compact(raw.as_bytes()) { Cow::Borrowed(raw) } else { strip(raw) }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// Whether no whitespace stands between tokens, as far as the beginning tells: who writes some writes it before or behind
/// the first brace, or behind the first colon, and goes on so.
fn is_compact(text: &[u8]) -> bool {
    let blank = |at: usize| text.get(at).is_some_and(|byte| is_blank(*byte));
    !blank(0) && !blank(1) && !memchr(b':', text).is_some_and(|colon| blank(colon + 1))
}

/// Copies everything but the whitespace outside strings.
fn strip(raw: &str) -> Cow<'_, str> {
    let text = raw.as_bytes();
    let mut out = String::with_capacity(raw.len());
    let (mut at, mut kept) = (0, 0);
    while let Some(&byte) = text.get(at) {
        if byte == b'"' {
            at = string_end(text, at + 1);
        } else if is_blank(byte) {
            out.push_str(&raw[kept..at]);
            at += text[at..].iter().take_while(|&&byte| is_blank(byte)).count();
            kept = at;
        } else {
            at += 1;
        }
    }
    if kept == 0 {
        return Cow::Borrowed(raw);
    }
    out.push_str(&raw[kept..]);
    Cow::Owned(out)
}

/// Where the string whose first character stands at `at` is over: after its closing quote.
fn string_end(text: &[u8], mut at: usize) -> usize {
    while let Some(found) = memchr2(b'"', b'\\', &text[at.min(text.len())..]) {
        at += found;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2; // the escaped character too
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn compact_text_is_borrowed() {
        for text in [
            r#"{"type":"Dial","caller":{"name":"Agent 100","number":"100"}}"#,
            r#"{"app_data":"PJSIP/101, 30 ,tr","name":"a \" : b","list":[1,true,null]}"#,
            "{}",
            "",
        ] {
            assert!(matches!(compact_body(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn whitespace_goes_only_between_tokens() {
        for (raw, compact) in [
            ("{ }", "{}"),
            (" {\"a\" :\t\"b c\" ,\r\n \"d\": [ 1, 2 ] }\n", r#"{"a":"b c","d":[1,2]}"#),
            (r#"{"a": "x \" : y \\", "b": "c:  d"}"#, r#"{"a":"x \" : y \\","b":"c:  d"}"#),
            ("{\"name\": \"Žofie  \\\"Zed\\\"\"}", "{\"name\":\"Žofie  \\\"Zed\\\"\"}"),
        ] {
            assert_eq!(compact_body(raw), compact);
        }
    }

    #[test]
    fn what_is_no_json_does_no_harm() {
        for raw in ["\"", "\"\\", "\" \\", " ", "{\"a\": \"b", "é \"é \\é"] {
            let _ = compact_body(raw);
        }
    }

    proptest! {
        #[test]
        fn pretty_json_becomes_the_compact_json(texts in proptest::collection::vec(".*", 1..6), number in any::<i64>()) {
            let value = serde_json::json!({"texts": texts, "map": {texts[0].clone(): number, "none": null}});
            let compact = serde_json::to_string(&value).unwrap();
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(compact_body(&pretty), compact.as_str());
            let on_one_line = pretty.replace('\n', " ");
            prop_assert_eq!(compact_body(&on_one_line), compact.as_str());
            prop_assert!(matches!(compact_body(&compact), Cow::Borrowed(_)));
        }
    }
}
