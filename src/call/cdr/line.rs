//! A line of CSV, read strictly, or of `mysql --batch`.

/// The fields of one line. A quoted field must end where its quotes end: Asterisk's `cdr_custom` without `CSV_QUOTE`
/// writes a caller's name with quotes or commas so that nobody can tell where it ends, and a guess would shift all
/// columns behind it.
///
/// # Errors
/// What is wrong, and in which field, counted from 1.
pub fn split(line: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let number = fields.len() + 1;
        let (field, behind) = match rest.strip_prefix('"') {
            Some(inner) => {
                quoted(inner).ok_or_else(|| format!("field {number} begins with a quote that is never closed"))?
            }
            None => {
                let (field, _) = rest.split_once(',').unwrap_or((rest, ""));
                (field.to_owned(), rest.get(field.len()..).unwrap_or(""))
            }
        };
        fields.push(field);
        if behind.is_empty() {
            return Ok(fields);
        }
        rest = behind.strip_prefix(',').ok_or_else(|| {
            format!(
                "field {number} goes on behind its closing quote: in cdr_custom.conf write \
                 ${{CSV_QUOTE(${{CDR(...)}})}} instead of \"${{CDR(...)}}\""
            )
        })?;
    }
}

/// What stands up to the closing quote, doubled quotes made single, and what follows; `None` where it isn't closed.
fn quoted(inner: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut rest = inner;
    loop {
        let (head, tail) = rest.split_once('"')?;
        field.push_str(head);
        match tail.strip_prefix('"') {
            Some(tail) => {
                field.push('"');
                rest = tail;
            }
            None => return Some((field, tail)),
        }
    }
}

/// The fields of a line of `mysql --batch`: between tabs, without quotes, with a tab, newline, backslash and zero byte in
/// them written as `\t`, `\n`, `\\` and `\0`.
pub fn split_tabs(line: &str) -> Vec<String> {
    line.split('\t').map(unescaped).collect()
}

fn unescaped(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut rest = field.chars();
    while let Some(char) = rest.next() {
        let mut ahead = rest.clone();
        let meant = match (char, ahead.next()) {
            ('\\', Some('t')) => Some('\t'),
            ('\\', Some('n')) => Some('\n'),
            ('\\', Some('0')) => Some('\0'),
            ('\\', Some('\\')) => Some('\\'),
            _ => None,
        };
        if meant.is_some() {
            rest = ahead;
        }
        text.push(meant.unwrap_or(char));
    }
    text
}
