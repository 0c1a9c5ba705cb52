//! Whether there is a way to anywhere: a route that leaves the machine (`/proc/net/route`, `/proc/net/ipv6_route`).

use crate::Host;

/// `RTF_UP` and `RTF_REJECT` (include/uapi/linux/route.h).
const UP: u32 = 0x1;
const REJECT: u32 = 0x200;

pub(crate) fn is_reachable(host: &Host) -> bool {
    let (v4, v6) = (host.text("proc/net/route"), host.text("proc/net/ipv6_route"));
    if v4.is_err() && v6.is_err() {
        // Not known: then trying is the better answer.
        return true;
    }
    v4.is_ok_and(|text| text.lines().skip(1).any(leaves_v4))
        || v6.is_ok_and(|text| text.lines().any(leaves_v6))
}

/// `Iface Destination Gateway Flags …`.
fn leaves_v4(line: &str) -> bool {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    fields.first().is_some_and(|device| *device != "lo") && fields.get(3).is_some_and(|flags| is_up(flags))
}

/// `DESTINATION PREFIX SOURCE PREFIX NEXT METRIC REFERENCES USE FLAGS DEVICE`; link-local and multicast routes are there as soon as
/// a cable is.
fn leaves_v6(line: &str) -> bool {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let [destination, .., flags, device] = fields.as_slice() else {
        return false;
    };
    *device != "lo" && is_up(flags) && !destination.starts_with("fe80") && !destination.starts_with("ff")
}

fn is_up(flags: &str) -> bool {
    u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & UP != 0 && flags & REJECT == 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use std::fs;

    const HEAD: &str =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
    const LINK_LOCAL: &str = "fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n";
    const DEFAULT: &str = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n";
    const LOST: &str = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n";

    fn reachable(v4: &str, v6: &str) -> bool {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/net")).unwrap();
        fs::write(root.path().join("proc/net/route"), format!("{HEAD}{v4}")).unwrap();
        fs::write(root.path().join("proc/net/ipv6_route"), v6).unwrap();
        is_reachable(&Host::new(root.path()))
    }

    #[test]
    fn a_route_that_leaves_the_machine_is_needed() {
        assert!(!reachable("", LOST));
        assert!(!reachable("", LINK_LOCAL));
        assert!(reachable("", DEFAULT));
        assert!(reachable("eth0\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n", LOST));
        assert!(!reachable("lo\t0000007F\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n", LOST));
        assert!(is_reachable(&Host::new("/nonexistent")), "not known is no obstacle");
    }
}
