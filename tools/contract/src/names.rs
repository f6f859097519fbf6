//! One name in the spellings of its readers.

/// `createCase` or `CreateCase` as `create-case`: a crate and its folder.
pub fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(character.to_ascii_lowercase());
    }
    kebab
}

/// `create-case` or `createCase` as `CreateCase`: a variant in Rust, a resource of the template.
pub fn pascal(name: &str) -> String {
    let capital = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    };
    name.split(['-', '_']).map(capital).collect()
}

/// `create-case` as `create_case`: a crate as Rust code names it.
pub fn snake(name: &str) -> String {
    name.replace('-', "_")
}
