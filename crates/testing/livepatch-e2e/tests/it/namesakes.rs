//! Functions that share their name with others: the kernel finds them by position among all symbols of that name, locals and
//! globals alike, so a wrong count redirects somebody else's function.

use crate::livepatching::{load, take_out};
use livepatch_e2e::{BuildRequest, Builder, Prepared, Programs};
use livepatch_vm::{Guest, GuestBuilder, cache_directory};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(60);

/// A function whose name others have too.
struct Namesake {
    name: &'static str,
    file: &'static str,
}

/// The keyring's and SELinux's own (one global, one static each), one that a table of another unit is named like, and one
/// of the fifteen that two networking units share.
const NAMESAKES: [Namesake; 6] = [
    Namesake { name: "user_read", file: "security/keys/user_defined.c" },
    Namesake { name: "user_read", file: "security/selinux/ss/policydb.c" },
    Namesake { name: "user_destroy", file: "security/keys/user_defined.c" },
    Namesake { name: "user_destroy", file: "security/selinux/ss/policydb.c" },
    Namesake { name: "kern_path", file: "fs/namei.c" },
    Namesake { name: "calipso_doi_walk", file: "net/ipv6/calipso.c" },
];

#[test]
fn a_function_is_told_from_its_namesakes() {
    let (programs, directory) = (Programs::find().unwrap(), tempfile::tempdir().unwrap());
    let kernel = Prepared::get(&programs).unwrap().kernel;
    let tree = cache_directory().join("kernels").join(&kernel.release).join("source");
    let mut guest = GuestBuilder::for_kernel(&kernel)
        .program("/usr/bin/perl", "/usr/bin/perl")
        .artefacts(directory.path());
    let mut built = Vec::new();
    for (number, namesake) in NAMESAKES.iter().enumerate() {
        let output = directory.path().join(number.to_string());
        fs::create_dir_all(&output).unwrap();
        let patch = saying_so(&tree, namesake, &output.join("change.patch"));
        let request = BuildRequest {
            release: &kernel.release,
            patch: &patch,
            fix: "example=a word in the log",
            source: None,
            version: 1,
        };
        Builder::new(&programs, output.join("log"), &|_| {}).build(&request, &output).unwrap();
        let module = format!("/{number}.ko");
        guest = guest.file(output.join(Builder::manifest(&output).unwrap().file_name()), &module, 0o600);
        built.push((namesake, module, output));
    }

    let guest = guest.boot().unwrap();
    let mut shared = 0;
    for (namesake, module, output) in &built {
        let function = &Builder::manifest(output).unwrap().objects[0].functions[0];
        assert_eq!(function.name, namesake.name);
        // Not every kernel has all of these names more than once.
        let symbols = guest.check(&format!("grep -c ' {}$' /proc/kallsyms", namesake.name), LIMIT).unwrap();
        let has_namesakes = symbols.trim() != "1";
        assert_eq!(function.sympos > 0, has_namesakes, "{}: {symbols}", namesake.name);
        shared += usize::from(has_namesakes);
        assert_eq!(heard(&guest, namesake), 0);
        load(&guest, module, output);
        use_keyring_and_paths(&guest);
        // Only the keyring's functions and kern_path were called by that; a policy was never loaded.
        let called = ["security/keys/user_defined.c", "fs/namei.c"].contains(&namesake.file);
        assert_eq!(heard(&guest, namesake) > 0, called, "{} of {}", namesake.name, namesake.file);
        take_out(&guest, output);
    }
    assert!(shared >= 4, "only {shared} of the names are shared in {}", kernel.release);
    assert_eq!(guest.oops(), None);
}

/// A patch that has a function say in the log that it runs.
fn saying_so(tree: &Path, namesake: &Namesake, patch: &Path) -> PathBuf {
    let Namesake { name, file } = namesake;
    let text = fs::read_to_string(tree.join(file)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let is_head = |line: &str| !line.starts_with([' ', '\t', '*', '/']) && line.contains(&format!("{name}("));
    let head = lines.iter().position(|line| is_head(line) && !line.ends_with(';')).unwrap();
    let open = head + lines[head..].iter().position(|line| *line == "{").unwrap();
    let mut diff = format!("--- a/{file}\n+++ b/{file}\n@@ -{open},4 +{open},5 @@\n");
    diff += &format!(" {}\n {}\n", lines[open - 1], lines[open]);
    diff += &format!("+\tprintk(\"{}\\n\");\n", word(namesake));
    diff += &format!(" {}\n {}\n", lines[open + 1], lines[open + 2]);
    fs::write(patch, diff).unwrap();
    patch.to_owned()
}

fn word(namesake: &Namesake) -> String {
    format!("here runs {} of {}", namesake.name, namesake.file)
}

/// How often the function has said so.
fn heard(guest: &Guest, namesake: &Namesake) -> usize {
    guest.check("dmesg", LIMIT).unwrap().matches(&word(namesake)).count()
}

/// Adds a key, reads it, gives it up, and looks a device up by its path.
fn use_keyring_and_paths(guest: &Guest) {
    // add_key(2), keyctl(2) with KEYCTL_READ (11) and KEYCTL_INVALIDATE (21), on the process keyring (-2).
    let script = "/usr/bin/perl -e '
            my ($type, $name, $value) = (\"user\", \"name\", \"value\");
            my $key = syscall(248, $type, $name, $value, 5, -2);
            exit 1 if $key < 0;
            my $room = \"     \";
            exit 2 unless syscall(250, 11, $key, $room, 5) == 5 and $room eq \"value\";
            exit 3 unless syscall(250, 21, $key) == 0;' || exit $?
        mount -t ext4 /dev/no-such-device /mnt 2> /dev/null; sleep 1";
    guest.check(script, LIMIT).unwrap();
}
