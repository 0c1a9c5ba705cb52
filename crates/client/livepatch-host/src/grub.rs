//! Which kernel GRUB boots next, out of its configuration and its environment block. Only what `grub-mkconfig` writes is
//! understood; anything else is [`Choice::Uncertain`], never a guess.

use std::fmt::Write as _;

/// What a loader's configuration says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The file name of the kernel, such as `vmlinuz-6.1.0-55-cloud-amd64`, and why that one.
    Kernel { file: String, why: String },
    /// It cannot be told, and why.
    Uncertain(String),
}

/// An entry of the menu; a submenu has entries of its own and no kernel.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entry {
    title: String,
    id: String,
    kernel: Option<String>,
    entries: Vec<Entry>,
}

/// What a brace closes.
enum Block {
    Entry(Entry),
    Other,
}

/// Nobody nests deeper; a hostile file must not cost the stack.
const DEEPEST: usize = 64;

/// The choice of a `grub.cfg` with this environment block (`grubenv`).
pub(crate) fn choice(configuration: &str, environment: &str) -> Choice {
    let saved = |name: &str| {
        let value = environment.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.map(str::trim).filter(|value| !value.is_empty())
    };
    let (wanted, why) = match saved("next_entry") {
        Some(entry) => (entry.to_owned(), format!("chosen for the next boot only ({entry})")),
        None => match default_of(configuration) {
            Default::Named(entry) => (entry.clone(), format!("GRUB's default entry ({entry})")),
            Default::Saved => {
                let entry = saved("saved_entry").unwrap_or("0");
                (entry.to_owned(), format!("GRUB's saved entry ({entry})"))
            }
            Default::Unknown(text) => {
                return Choice::Uncertain(format!("GRUB's default is computed: {text}"));
            }
        },
    };
    let entries = menu(configuration);
    match find(&entries, &wanted).and_then(|entry| entry.kernel.clone()) {
        Some(kernel) => {
            Choice::Kernel { file: kernel.rsplit('/').next().unwrap_or_default().to_owned(), why }
        }
        None => Choice::Uncertain(format!("no entry with a kernel is called '{wanted}' in GRUB's menu")),
    }
}

enum Default {
    Named(String),
    Saved,
    Unknown(String),
}

/// The last `set default=` that does not take the entry for one boot (`next_entry`).
fn default_of(configuration: &str) -> Default {
    let values = configuration.lines().filter_map(|line| line.trim().strip_prefix("set default="));
    let last = values.map(unquoted).rfind(|value| !value.contains("next_entry"));
    match last.as_deref() {
        None => Default::Named("0".into()),
        Some("${saved_entry}" | "$saved_entry") => Default::Saved,
        Some(value) if value.contains('$') => Default::Unknown(value.to_owned()),
        Some(value) => Default::Named(value.to_owned()),
    }
}

fn unquoted(value: &str) -> String {
    words(value).into_iter().next().unwrap_or_default()
}

/// The menu's entries.
fn menu(configuration: &str) -> Vec<Entry> {
    let mut top = Vec::new();
    let mut open: Vec<Block> = Vec::new();
    for line in configuration.lines().map(str::trim) {
        let words = words(line);
        let opens = line.ends_with('{');
        match words.first().map(String::as_str) {
            Some("menuentry" | "submenu") if opens && open.len() < DEEPEST => {
                open.push(Block::Entry(entry(&words)))
            }
            Some("linux" | "linuxefi" | "linux16") => {
                if let Some(Block::Entry(entry)) = open.last_mut() {
                    entry.kernel = words.get(1).cloned();
                }
            }
            Some("}") => match open.pop() {
                Some(Block::Entry(entry)) => match open.last_mut() {
                    Some(Block::Entry(submenu)) => submenu.entries.push(entry),
                    _ => top.push(entry),
                },
                Some(Block::Other) | None => {}
            },
            _ if opens && open.len() < DEEPEST => open.push(Block::Other),
            _ => {}
        }
    }
    top
}

/// `menuentry 'TITLE' --class debian $menuentry_id_option 'ID' {`; older files write `--id ID`.
fn entry(words: &[String]) -> Entry {
    let id = words.iter().position(|word| ["$menuentry_id_option", "--id"].contains(&word.as_str()));
    let word = |at: usize| words.get(at).cloned().unwrap_or_default();
    Entry { title: word(1), id: id.map(|at| word(at + 1)).unwrap_or_default(), ..Entry::default() }
}

/// An entry by number, title or id; a path into submenus has `>` between its parts.
fn find<'a>(entries: &'a [Entry], wanted: &str) -> Option<&'a Entry> {
    let whole = entries.iter().find(|entry| entry.title == wanted || entry.id == wanted);
    if whole.is_some() {
        return whole.filter(|entry| entry.kernel.is_some());
    }
    let (first, rest) = wanted.split_once('>').map_or((wanted, None), |(first, rest)| (first, Some(rest)));
    let named = |entry: &&Entry| entry.title == first || entry.id == first;
    let entry = match first.parse::<usize>() {
        Ok(number) => entries.get(number),
        Err(_) => entries.iter().find(named),
    }?;
    rest.map_or(Some(entry), |rest| find(&entry.entries, rest))
}

/// Words as a shell splits them: blanks outside of quotes. Variables stay as they are written.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut inside) = (Vec::new(), String::new(), None, false);
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, ' ' | '\t') => {
                if inside {
                    words.push(std::mem::take(&mut word));
                }
                inside = false;
                continue;
            }
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            (None | Some('"'), '\\') => word.extend(characters.next()),
            _ => drop(word.write_char(character)),
        }
        inside = true;
    }
    if inside {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What grub-mkconfig 2.06 writes on Debian 12 with two kernels, without the parts about video modes.
    pub(crate) const RECORDED: &str = r#"
if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default="0"
fi
function savedefault {
  if [ -z "${boot_once}" ]; then
    saved_entry="${chosen}"
    save_env saved_entry
  fi
}
menuentry 'Debian GNU/Linux' --class debian --class gnu-linux $menuentry_id_option 'gnulinux-simple-0a1b' {
	load_video
	if [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi
	echo	'Loading Linux 6.1.0-55-cloud-amd64 ...'
	linux	/boot/vmlinuz-6.1.0-55-cloud-amd64 root=UUID=0a1b ro  quiet
	initrd	/boot/initrd.img-6.1.0-55-cloud-amd64
}
submenu 'Advanced options for Debian GNU/Linux' $menuentry_id_option 'gnulinux-advanced-0a1b' {
	menuentry 'Debian GNU/Linux, with Linux 6.1.0-55-cloud-amd64' --class debian $menuentry_id_option 'gnulinux-6.1.0-55-cloud-amd64-advanced-0a1b' {
		linux	/boot/vmlinuz-6.1.0-55-cloud-amd64 root=UUID=0a1b ro  quiet
	}
	menuentry 'Debian GNU/Linux, with Linux 6.1.0-54-cloud-amd64' --class debian $menuentry_id_option 'gnulinux-6.1.0-54-cloud-amd64-advanced-0a1b' {
		linux	/boot/vmlinuz-6.1.0-54-cloud-amd64 root=UUID=0a1b ro  quiet
	}
}
menuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi-firmware' {
	fwsetup
}
"#;

    fn file(configuration: &str, environment: &str) -> String {
        match choice(configuration, environment) {
            Choice::Kernel { file, .. } => file,
            Choice::Uncertain(why) => format!("uncertain: {why}"),
        }
    }

    #[test]
    fn the_default_is_the_first_entry() {
        assert_eq!(file(RECORDED, ""), "vmlinuz-6.1.0-55-cloud-amd64");
        assert_eq!(file(RECORDED, "# GRUB Environment Block\n####"), "vmlinuz-6.1.0-55-cloud-amd64");
    }

    #[test]
    fn an_entry_for_one_boot_goes_first() {
        for entry in [
            "1>1",
            "gnulinux-advanced-0a1b>gnulinux-6.1.0-54-cloud-amd64-advanced-0a1b",
            "Advanced options for Debian GNU/Linux>Debian GNU/Linux, with Linux 6.1.0-54-cloud-amd64",
        ] {
            assert_eq!(
                file(RECORDED, &format!("next_entry={entry}\n")),
                "vmlinuz-6.1.0-54-cloud-amd64",
                "{entry}"
            );
        }
    }

    #[test]
    fn a_saved_entry_counts_when_the_default_says_so() {
        let saved = RECORDED.replace(r#"set default="0""#, r#"set default="${saved_entry}""#);
        assert_eq!(file(&saved, "saved_entry=1>1\n"), "vmlinuz-6.1.0-54-cloud-amd64");
        assert_eq!(file(&saved, ""), "vmlinuz-6.1.0-55-cloud-amd64");
        assert_eq!(file(RECORDED, "saved_entry=1>1\n"), "vmlinuz-6.1.0-55-cloud-amd64");
    }

    #[test]
    fn what_cannot_be_told_is_not_guessed() {
        let computed = RECORDED.replace(r#"set default="0""#, r#"set default="$(choose)""#);
        for (configuration, environment) in [
            (computed.as_str(), ""),
            (RECORDED, "next_entry=gone\n"),
            (RECORDED, "next_entry=uefi-firmware\n"),
            ("", ""),
        ] {
            assert!(file(configuration, environment).starts_with("uncertain: "));
        }
    }

    #[test]
    fn words_are_split_as_a_shell_does() {
        assert_eq!(
            words(r#"menuentry 'a b' --x "c \" d" '' {"#),
            ["menuentry", "a b", "--x", "c \" d", "", "{"]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[\\PC\n{}'\" ]{0,300}", environment in ".{0,80}") {
            choice(&text, &environment);
            choice(&format!("menuentry 'x' {{\nlinux /boot/vmlinuz-1\n{text}"), &environment);
        }
    }
}
