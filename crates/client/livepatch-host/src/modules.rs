//! `/proc/modules` (kernel/module/procfs.c): `NAME SIZE REFS USERS STATE ADDRESS (TAINTS)`.

use serde::{Deserialize, Serialize};

/// A loaded kernel module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedModule {
    /// Name, with underscores.
    pub name: String,
    /// How many hold it; absent on kernels that cannot unload modules.
    pub references: Option<u32>,
    /// Whether it is neither being loaded nor being unloaded.
    pub live: bool,
    /// Letters of its taints, such as `OEK`; empty when there are none.
    pub taints: String,
}

/// Reads the text of `/proc/modules`; a line that does not have the shape is left out.
pub fn parse_modules(text: &str) -> Vec<LoadedModule> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<LoadedModule> {
    let mut fields = line.split_ascii_whitespace();
    let name = fields.next()?.to_owned();
    let _size: u64 = fields.next()?.parse().ok()?;
    let references = fields.next()?.parse().ok();
    let _users = fields.next()?;
    let live = fields.next()? == "Live";
    let last = fields.last().unwrap_or_default();
    let taints = last.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or_default();
    // While a module comes or goes the kernel appends + or - to the letters.
    let taints = taints.chars().filter(char::is_ascii_uppercase).collect();
    Some(LoadedModule { name, references, live, taints })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn recorded_lines() {
        let text = "livepatch_6_1_0_55_cloud_amd64_1 16384 1 - Live 0xffffffffc0393000 (OEK)\n\
                    ext4 983040 1 - Live 0xffffffffc0200000\n\
                    jbd2 167936 1 ext4, Live 0xffffffffc0100000\n\
                    lp_v1 16384 0 - Unloading 0x0000000000000000 (OEK-)\n";
        let modules = parse_modules(text);
        assert_eq!(modules.len(), 4);
        assert_eq!(modules[0].references, Some(1));
        assert_eq!(modules[0].taints, "OEK");
        assert!(modules[2].live && modules[2].taints.is_empty());
        assert_eq!((modules[3].live, modules[3].taints.as_str()), (false, "OEK"));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in ".{0,400}") {
            parse_modules(&text);
        }
    }
}
