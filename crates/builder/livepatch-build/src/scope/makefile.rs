//! Makefile hunks that add an object to a list (Documentation/kbuild/makefiles.rst, sections 3.1 to 3.3).

use crate::units::Units;
use similar::{Algorithm, DiffOp, capture_diff_slices};

/// An object that a Makefile gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedObject {
    /// Folder of the Makefile.
    pub folder: String,
    /// The list: `obj-y`, `nfsd-y`, `obj-$(CONFIG_X)`.
    pub list: String,
    /// The object, as the Makefile names it.
    pub object: String,
    /// The objects that are in that list already.
    pub others: Vec<String>,
}

/// The objects that a Makefile gets, when that is all that changes in it.
pub(super) fn added_objects(path: &str, old: &[u8], new: &[u8]) -> Option<Vec<AddedObject>> {
    let (old, new) = (statements(old), statements(new));
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    let mut added = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, &old, &new) {
        let (gone, come) = (&old[op.old_range()], &new[op.new_range()]);
        if matches!(op, DiffOp::Equal { .. }) {
            continue;
        }
        // Lists that are there before and after, and new ones; nothing else may go or come.
        let before: Option<Vec<(&str, Vec<&str>)>> = gone.iter().map(|line| list(line)).collect();
        let after: Option<Vec<(&str, Vec<&str>)>> = come.iter().map(|line| list(line)).collect();
        let (before, after) = (before?, after?);
        let had = |object: &&str| before.iter().any(|(_, objects)| objects.contains(object));
        let has = |object: &&str| after.iter().any(|(_, objects)| objects.contains(object));
        if !before.iter().flat_map(|(_, objects)| objects).all(&has) {
            return None;
        }
        for (name, objects) in &after {
            for object in objects.iter().filter(|object| !had(object)) {
                let all = new.iter().filter_map(|line| list(line)).filter(|(other, _)| other == name);
                let others = all.flat_map(|(_, objects)| objects).filter(|other| other != object);
                added.push(AddedObject {
                    folder: folder.clone(),
                    list: (*name).to_owned(),
                    object: (*object).to_owned(),
                    others: others.map(str::to_owned).collect(),
                });
            }
        }
    }
    Some(added)
}

/// Lines with continuations joined; comments and empty ones left out.
fn statements(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text).replace("\\\n", " ");
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let plain = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    plain.filter(|line| !line.is_empty()).collect()
}

/// Name and objects of `NAME-y += a.o b.o`.
fn list(statement: &str) -> Option<(&str, Vec<&str>)> {
    let (name, objects) = statement
        .split_once("+=")
        .or_else(|| statement.split_once(":="))
        .or_else(|| statement.split_once('='))?;
    let name = name.trim();
    let objects: Vec<&str> = objects.split_whitespace().collect();
    let is_list =
        name.ends_with("-y") || name.ends_with("-objs") || name.ends_with("-m") || name.ends_with(')');
    let sound = is_list && !name.contains(' ') && objects.iter().all(|object| object.ends_with(".o"));
    sound.then_some((name, objects))
}

/// The object of a unit that is compiled into the same thing as a new file, from the Makefiles that get it.
pub(super) fn sibling(added: &[AddedObject], source: &str, units: &Units) -> Option<String> {
    let object = format!("{}.o", source.strip_suffix(".c")?);
    let whole = |folder: &str, name: &str| {
        if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
    };
    let entry = added.iter().find(|entry| whole(&entry.folder, &entry.object) == object)?;
    entry.others.iter().map(|other| whole(&entry.folder, other)).find(|other| {
        let unit = format!("{}.c", other.strip_suffix(".o").unwrap_or(other));
        !units.owners(&unit).is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "# a module\nobj-$(CONFIG_X)\t+= x.o\nx-y := a.o \\\n\tb.o\nccflags-y += -DA\n";

    fn added(new: &str) -> Option<Vec<(String, String)>> {
        let found = added_objects("fs/x/Makefile", OLD.as_bytes(), new.as_bytes())?;
        Some(found.into_iter().map(|object| (object.list, object.object)).collect())
    }

    #[test]
    fn object_added_to_a_list_is_understood() {
        let wanted = Some(vec![("x-y".to_owned(), "c.o".to_owned())]);
        assert_eq!(added(&OLD.replace("b.o", "b.o c.o")), wanted);
        assert_eq!(added(&format!("{OLD}x-y += c.o\n")), wanted);
        assert_eq!(added(&OLD.replace("# a module", "# the module")), Some(vec![]));
        let found = added_objects("fs/x/Makefile", OLD.as_bytes(), OLD.replace("b.o", "c.o b.o").as_bytes());
        let others = found.and_then(|mut found| found.pop()).map(|object| object.others);
        assert_eq!(others, Some(vec!["a.o".to_owned(), "b.o".to_owned()]));
    }

    #[test]
    fn anything_else_is_not() {
        assert_eq!(added(&OLD.replace("b.o", "")), None);
        assert_eq!(added(&OLD.replace("-DA", "-DB")), None);
        assert_eq!(added(&format!("{OLD}CFLAGS_a.o += -O3\n")), None);
        assert_eq!(added(&format!("{OLD}ifdef Y\n")), None);
    }
}
