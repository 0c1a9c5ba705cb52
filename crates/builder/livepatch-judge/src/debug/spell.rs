//! Types in C's own words.

use super::{DEEPEST, DebugInfo, Prototype, Shape, Type, TypeId};

impl DebugInfo<'_> {
    /// A type as C writes it: `struct file *`, `int (*)(void)`.
    pub fn spell(&self, of: Option<TypeId>) -> String {
        self.declare(of, "")
    }

    /// A declaration of `name`, which may be empty: `u8 name[16]`.
    pub fn declare(&self, of: Option<TypeId>, name: &str) -> String {
        self.declarator(of, name.to_owned(), DEEPEST.min(12))
    }

    fn declarator(&self, of: Option<TypeId>, inner: String, depth: u32) -> String {
        let Some(id) = of else { return around("void", &inner) };
        if depth == 0 {
            return around("...", &inner);
        }
        match self.get(id) {
            Some(Type::Pointer(target)) => {
                let starred = match target.map(|target| self.get(target)) {
                    Some(Some(Type::Array(..) | Type::Function(_))) => format!("(*{inner})"),
                    _ => format!("*{inner}"),
                };
                self.declarator(*target, starred, depth - 1)
            }
            Some(Type::Array(element, dimensions)) => {
                let counts: String = dimensions
                    .iter()
                    .map(|count| format!("[{}]", count.map_or(String::new(), |count| count.to_string())))
                    .collect();
                let counts = if counts.is_empty() { "[]".to_owned() } else { counts };
                self.declarator(*element, format!("{inner}{counts}"), depth - 1)
            }
            Some(Type::Function(prototype)) => {
                let parameters = self.parameters(prototype, depth - 1);
                self.declarator(prototype.result, format!("{inner}({parameters})"), depth - 1)
            }
            Some(Type::Qualified(word, target)) => match target.map(|target| self.get(target)) {
                Some(Some(Type::Pointer(_))) => self.declarator(*target, around(word, &inner), depth - 1),
                _ => format!("{word} {}", self.declarator(*target, inner, depth - 1)),
            },
            Some(Type::Typedef(name, _) | Type::Base { name, .. }) => around(name, &inner),
            Some(Type::Composite(composite)) => {
                let shape = if composite.shape == Shape::Struct { "struct" } else { "union" };
                around(&format!("{shape} {}", composite.tag.unwrap_or("{...}")), &inner)
            }
            Some(Type::Enumeration(enumeration)) => {
                around(&format!("enum {}", enumeration.tag.unwrap_or("{...}")), &inner)
            }
            None => around("?", &inner),
        }
    }

    fn parameters(&self, prototype: &Prototype, depth: u32) -> String {
        // A structure may hold ever more functions of functions: what is deep says little.
        let spell = |of: &Option<TypeId>| self.declarator(*of, String::new(), depth.min(4));
        let mut all: Vec<String> = prototype.parameters.iter().take(24).map(spell).collect();
        if prototype.variadic {
            all.push("...".into());
        }
        if all.is_empty() { "void".into() } else { all.join(", ") }
    }

    /// A function's declaration: `int f(struct file *, long)`.
    pub fn prototype(&self, prototype: &Prototype, name: &str) -> String {
        let parameters = self.parameters(prototype, 8);
        self.declarator(prototype.result, format!("{name}({parameters})"), 8)
    }
}

fn around(word: &str, inner: &str) -> String {
    if inner.is_empty() { word.to_owned() } else { format!("{word} {inner}") }
}
