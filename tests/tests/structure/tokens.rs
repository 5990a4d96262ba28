//! A source file as a list of tokens, without comments. Bodies of macros are tokens like all others, which a syntax tree
//! would hide.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A name, a literal, `::`, or one other character.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
    /// Whether only tests have it.
    pub(crate) test: bool,
}

pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    flatten(source.parse().unwrap(), &mut tokens);
    mark_tests(&mut tokens);
    tokens
}

/// The names of the path that begins at `at`.
pub(crate) fn path_at(tokens: &[Token], mut at: usize) -> Vec<String> {
    let mut path = vec![tokens[at].text.clone()];
    while let [colons, name, ..] = &tokens[at + 1..] {
        if colons.text != "::" || !is_name(&name.text) {
            break;
        }
        path.push(name.text.clone());
        at += 2;
    }
    path
}

pub(crate) fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first == '_' || first.is_alphabetic())
        && token.chars().all(|c| c == '_' || c.is_alphanumeric())
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    let push = |tokens: &mut Vec<Token>, text: &str, line| {
        tokens.push(Token { text: text.to_owned(), line, test: false });
    };
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::None => ("", ""),
                };
                push(tokens, open, line);
                flatten(group.stream(), tokens);
                push(tokens, close, group.span_close().start().line);
            }
            TokenTree::Punct(punct) => {
                let colon = punct.as_char() == ':';
                match tokens.last_mut() {
                    Some(last) if colon && last.text == ":" => last.text.push(':'),
                    _ => push(tokens, &punct.as_char().to_string(), line),
                }
            }
            TokenTree::Literal(literal) => push(tokens, &literal.to_string(), line),
            TokenTree::Ident(name) => push(tokens, &name.to_string(), line),
        }
    }
}

/// Marks each item that `#[cfg(test)]` leads; blanks the attributes that name lints, which are no paths.
fn mark_tests(tokens: &mut [Token]) {
    const LINTS: [&str; 5] = ["allow", "deny", "expect", "forbid", "warn"];
    for at in 0..tokens.len() {
        if tokens[at].text != "#" {
            continue;
        }
        let open = at + 1 + usize::from(tokens[at + 1].text == "!");
        let end = closing(tokens, open);
        let text: Vec<&str> = tokens[open..end].iter().map(|token| token.text.as_str()).collect();
        if text.get(1..3) == Some(&["cfg", "("]) && text.contains(&"test") {
            let end = item_end(tokens, end + 1);
            tokens[at..end].iter_mut().for_each(|token| token.test = true);
        } else if text.get(1).is_some_and(|name| LINTS.contains(name)) {
            tokens[open + 1..end].iter_mut().for_each(|token| token.text.clear());
        }
    }
}

/// The place after the item that begins at `at`.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            ";" => return at + 1,
            "{" if tokens[at - 1].text != "::" => return closing(tokens, at) + 1,
            "(" | "[" | "{" => at = closing(tokens, at),
            _ => {}
        }
        at += 1;
    }
    at
}

/// The place of the bracket that closes the one at `open`.
fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    unreachable!("rustc balances brackets")
}

#[test]
fn comments_and_lints_are_no_tokens_and_tests_are_marked() {
    let tokens = tokens(
        "// std::fs
         #[expect(clippy::unwrap_used)] fn f() { a::b(\"c::d // e\"); }
         #[cfg(test)] use x::{y}; #[cfg(test)] mod tests { fn g() {} } fn h() {}",
    );
    let text = |test| {
        let of_kind = tokens.iter().filter(|token| token.test == test && !token.text.is_empty());
        of_kind.map(|token| token.text.as_str()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(text(false), "# [ ] fn f ( ) { a :: b ( \"c::d // e\" ) ; } fn h ( ) { }");
    assert_eq!(
        text(true),
        "# [ cfg ( test ) ] use x :: { y } ; # [ cfg ( test ) ] mod tests { fn g ( ) { } }"
    );
    assert_eq!(tokens.last().unwrap().line, 3);
}
