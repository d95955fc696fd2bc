//! The string values of a JSON text, each with the key it stands under and its place in the text.

/// One string value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text<'a> {
    /// The key it stands under; a list's items stand under the list's key.
    pub key: &'a str,
    /// Where its content begins (behind the quote) in the text.
    pub start: usize,
    /// Where its content ends.
    pub end: usize,
}

/// All string values of `json`, in order. `json` must be valid JSON (the reader of traces has parsed it); escapes
/// in a value stay as they are.
pub(super) fn strings(json: &str) -> Vec<Text<'_>> {
    let bytes = json.as_bytes();
    // One entry for each open container: whether it is an object, and the key that its values stand under.
    let mut open: Vec<(bool, &str)> = Vec::new();
    let mut found = Vec::new();
    let mut expects_key = false;
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'{' => {
                open.push((true, ""));
                expects_key = true;
            }
            b'[' => open.push((false, open.last().map_or("", |o| o.1))),
            b'}' | b']' => {
                open.pop();
                expects_key = false;
            }
            b',' => expects_key = open.last().is_some_and(|o| o.0),
            b'"' => {
                let start = i + 1;
                let end = start + content_length(&bytes[start..]);
                if expects_key {
                    if let Some(top) = open.last_mut() {
                        top.1 = &json[start..end];
                    }
                    expects_key = false;
                } else {
                    found.push(Text { key: open.last().map_or("", |o| o.1), start, end });
                }
                i = end;
            }
            _ => {}
        }
        i += 1;
    }
    found
}

/// The bytes up to the closing quote.
fn content_length(bytes: &[u8]) -> usize {
    let mut i = 0;
    while i < bytes.len() && bytes[i] != b'"' {
        i += if bytes[i] == b'\\' { 2 } else { 1 };
    }
    i.min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_its_key_also_behind_nested_ones() {
        let json = r#"{"a":"x","b":{"c":["y","z"],"n":1,"d":"q\"\\"},"e":"","f":[{"g":"h"}],"k":true,"l":"m"}"#;
        let found: Vec<(&str, &str)> = strings(json).into_iter().map(|t| (t.key, &json[t.start..t.end])).collect();
        let expected = [("a", "x"), ("c", "y"), ("c", "z"), ("d", r#"q\"\\"#), ("e", ""), ("g", "h"), ("l", "m")];
        assert_eq!(found, expected);
    }
}
