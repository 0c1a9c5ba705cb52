#!/bin/sh
# rootfs.sh OUTPUT SUITE PACKAGES: a Debian root file system with systemd as an ext4 image, for guests that boot in seconds.
# Where packages come from is up to the host's own apt. Runs as root, mounts nothing of the host.
set -eu
output=$1 suite=$2 packages=$3
work=$(mktemp -d "$(dirname "$output")/root.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root

# Debian's own archives of this suite, as the host's apt knows them, with its proxy and its idea of stale indexes.
apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT) # $(ORIGIN) $(CODENAME)' 'Created-By: Packages' |
    sed -n "s/ # Debian $suite\(-updates\|-security\)\?$//p" | sort -u > "$work/sources.list"
if ! [ -s "$work/sources.list" ]; then
    echo "rootfs: apt knows no Debian archive of $suite here; run apt-get update" >&2
    exit 1
fi
set --
for option in Acquire::Check-Valid-Until Acquire::Check-Date Acquire::http::Proxy Acquire::https::Proxy; do
    eval "$(apt-config shell value "$option")"
    [ -n "${value:-}" ] && set -- "$@" "--aptopt=$option \"$value\""
    unset value
done
mmdebstrap --quiet --mode=root --variant=minbase --include="$packages" --aptopt='APT::Install-Recommends "0"' "$@" \
    "$suite" "$root" - < "$work/sources.list"

# The guest installs what its tests bring along, and nothing else.
rm -rf "$root"/etc/apt/sources.list* "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root"/var/lib/apt/lists/* \
    "$root"/var/cache/apt/*.bin "$root"/usr/share/doc/* "$root"/usr/share/locale/* "$root"/usr/share/info/*
echo guest > "$root/etc/hostname"
printf '127.0.0.1 localhost guest\n10.0.2.2 host\n' > "$root/etc/hosts"
: > "$root/etc/fstab"
# A fixed identity: no first-boot work.
echo 6c766d0000000000000000000000c0de > "$root/etc/machine-id"
sed -i 's/^root:[^:]*:/root::/' "$root/etc/shadow"

# The addresses of QEMU's user-mode network, without a network manager.
cat > "$root/etc/systemd/system/livepatch-vm-network.service" <<'UNIT'
[Unit]
Description=Network of the virtual machine
DefaultDependencies=no
Before=network.target
Wants=network.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'ip link set lo up; if [ -d /sys/class/net/eth0 ]; then ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 up; ip route add default via 10.0.2.2; fi'
[Install]
WantedBy=sysinit.target
UNIT
# Takes commands from the host once the machine is up. Both files come from the initramfs, so that they fit the harness.
cat > "$root/etc/systemd/system/livepatch-vm-agent.service" <<'UNIT'
[Unit]
Description=Commands from the host
After=multi-user.target
[Service]
ExecStart=/run/livepatch-vm/busybox sh /run/livepatch-vm/agent.sh
Environment=HOME=/root TERM=dumb LC_ALL=C.UTF-8
KillMode=process
OOMScoreAdjust=-900
[Install]
WantedBy=graphical.target
UNIT
units() { # units VERB UNIT...: by name, and no word about those that this release does not have
    verb=$1
    shift
    for unit in "$@"; do systemctl -q --root="$root" "$verb" "$unit" 2> /dev/null || true; done
}
units enable livepatch-vm-network.service livepatch-vm-agent.service
units set-default graphical.target
# Half of the boot's time; nothing of it matters to a client.
units mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer systemd-networkd.service systemd-networkd.socket systemd-networkd-wait-online.service \
    systemd-logind.service systemd-udevd.service systemd-udev-trigger.service systemd-udevd-kernel.socket \
    systemd-udevd-control.socket dev-hugepages.mount dev-mqueue.mount sys-kernel-config.mount \
    sys-fs-fuse-connections.mount kmod-static-nodes.service systemd-modules-load.service systemd-random-seed.service \
    systemd-update-done.service systemd-journal-flush.service systemd-user-sessions.service console-getty.service \
    getty.target getty@tty1.service serial-getty@ttyS0.service systemd-ask-password-wall.path \
    systemd-ask-password-console.path systemd-tmpfiles-clean.timer systemd-machine-id-commit.service \
    systemd-firstboot.service systemd-boot-system-token.service systemd-update-utmp.service systemd-binfmt.service

mke2fs -q -t ext4 -L livepatch-vm -m 0 -d "$root" "$work/image" 1G
mv "$work/image" "$output"
