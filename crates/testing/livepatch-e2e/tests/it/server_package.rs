//! The server's package on a Debian system: installed by `apt`, in its sandbox, there for everybody while it starts again.

use crate::{debian_package::assert_exposure, installed::LIMIT, scene::Scene};
use livepatch_e2e::{System, server_package};

/// The operator, at the machine itself.
const OPERATOR: &str = "export LIVEPATCH_SERVER=http://127.0.0.1:8080 LIVEPATCH_ADMIN_KEY=/var/lib/livepatch-server/admin.key; \
                        livepatch-admin tier list --format json";

#[test]
fn a_server_comes_out_of_its_package() {
    let scene = Scene::new();
    let directory = scene.directory.path();
    let package =
        server_package(&scene.programs.path(""), directory, &directory.join("package.log")).unwrap();
    let system = System::new(&scene.prepared.kernel, &directory.join("system")).unwrap();
    let machine = system.install(&package).unwrap();
    let check = |command: &str| {
        let log = "journalctl -q --no-pager -b -u livepatch-server";
        machine.guest().check(&format!("( {command} ) || {{ {log}; exit 1; }}"), LIMIT).unwrap()
    };
    let units = "livepatch-server.service livepatch-server.socket";
    let facts = check(&format!(
        "systemctl is-active {units}; systemctl is-enabled {units}; ps -o user= -C livepatch-server; stat -c %a /var/lib/livepatch-server"
    ));
    assert_eq!(facts, "active\nactive\nenabled\nenabled\nlivepatch-server\n700\n");
    assert_exposure(&machine, "livepatch-server");

    assert!(check(OPERATOR).contains("\"edge\""));
    check("! setpriv --reuid=65534 --clear-groups cat /var/lib/livepatch-server/admin.key 2> /dev/null");
    check(
        "man -w livepatch-server livepatch-admin > /dev/null 2>&1 || ls /usr/share/man/man1/livepatch-server.1*",
    );
    // The socket is systemd's: whoever asks while the server is away waits for the next one.
    let before = check("systemctl show -P MainPID livepatch-server");
    check(&format!(
        "systemctl restart livepatch-server & for _ in 1 2 3 4 5 6 7 8; do ({OPERATOR}) > /dev/null || exit 1; done; wait"
    ));
    assert_ne!(check("systemctl show -P MainPID livepatch-server"), before);
    check("systemctl reload livepatch-server && systemctl is-active livepatch-server");

    let key = check("cat /var/lib/livepatch-server/admin.key");
    let machine = system.reboot(machine).unwrap();
    let guest = machine.guest();
    assert!(guest.check(OPERATOR, LIMIT).unwrap().contains("\"edge\""), "it comes back with the machine");
    guest.check("DEBIAN_FRONTEND=noninteractive apt-get purge -y -q livepatch-server", LIMIT).unwrap();
    let kept = guest.check("cat /var/lib/livepatch-server/admin.key", LIMIT).unwrap();
    assert_eq!(kept, key, "no command takes the keys away that machines trust");
}
