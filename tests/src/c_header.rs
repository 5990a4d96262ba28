//! The functions that a header declares, as far as a test needs to know them in order to call each.
#![expect(clippy::missing_panics_doc, reason = "what tests share fails as tests do: by a panic")]

/// One function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// The type that it returns: `const char *`.
    pub returns: String,
    /// Its name.
    pub name: String,
    /// The type and the name of each parameter.
    pub parameters: Vec<(String, String)>,
}

/// Every function that a header declares, in its order.
pub fn functions(header: &str) -> Vec<Function> {
    let mut text = String::new();
    let mut rest = header;
    while let Some((before, comment)) = rest.split_once("/*") {
        text.push_str(before);
        rest = comment.split_once("*/").expect("a comment ends").1;
    }
    text.push_str(rest);
    let code: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let code = code.join(" ");
    // What opens and closes `extern "C"` is no part of a declaration.
    let declarations = code.split([';', '{', '}']).map(str::trim);
    declarations
        .filter(|text| text.contains('(') && !text.starts_with("typedef"))
        .map(function)
        .collect()
}

fn function(declaration: &str) -> Function {
    let (head, parameters) = declaration.split_once('(').expect("a function has parameters");
    let parameters = parameters.trim_end_matches(')');
    let (returns, name) = named(head);
    let parameters = match parameters {
        "void" => Vec::new(),
        _ => parameters.split(',').map(|parameter| named(parameter.trim())).collect(),
    };
    Function { returns, name, parameters }
}

/// `const char *key` is `const char *` and `key`.
fn named(declaration: &str) -> (String, String) {
    let at = declaration.rfind([' ', '*']).expect("a type and a name") + 1;
    let (kind, name) = declaration.split_at(at);
    (kind.trim().to_owned(), name.to_owned())
}
