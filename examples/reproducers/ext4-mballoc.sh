#!/bin/sh
# Debian bug 1154101: linux 6.1.192-1 (6.1.0-55) dies in ext4_mb_load_buddy_gfp when ext4 frees blocks whose bitmap page
# has left the page cache. Mended in 6.1.192-2 (fs/ext4/mballoc.c).
#
#   ext4-mballoc.sh IMAGE      IMAGE: an ext4 image of 16 MiB, made by: mke2fs -q -t ext4 image 16M
#
# RUN IT IN A THROW-AWAY VIRTUAL MACHINE: on a vulnerable kernel it leaves kernel locks held.
# Last line: 'verdict: ...'. Status: 0 the kernel is protected, 10 it is vulnerable, 2 it could not be found out.

image=${1:?usage: ext4-mballoc.sh IMAGE}
mount_point=$(mktemp -d)
copy=$(mktemp)

unknown() {
    echo "verdict: unknown ($*)"
    exit 2
}

oopses() {
    dmesg | grep -c 'BUG: kernel NULL pointer dereference'
}

cp "$image" "$copy" || unknown "cannot copy $image"
device=$(losetup -f) && losetup "$device" "$copy" || unknown "no loop device: is the module 'loop' loaded?"
mount -t ext4 "$device" "$mount_point" || unknown "cannot mount the image"
before=$(oopses)

# The file's blocks are on disk, then everything clean leaves the page cache, the block bitmap's page with it.
dd if=/dev/zero of="$mount_point/victim" bs=1M count=1 2> /dev/null || unknown "cannot write to the image"
sync
echo 3 > /proc/sys/vm/drop_caches
rm "$mount_point/victim"
status=$?

if [ "$(oopses)" != "$before" ]; then
    where=$(dmesg | sed -n 's/.*RIP: 0010:\([a-z0-9_]*\).*/\1/p' | tail -n 1)
    echo "verdict: vulnerable (NULL pointer dereference in $where, rm ended with status $status)"
    exit 10
fi
[ $status = 0 ] || unknown "rm ended with status $status, and the kernel log has no oops"
umount "$mount_point" && losetup -d "$device" || unknown "the file was removed, but the image does not unmount"
echo "verdict: protected (the file was removed, the file system unmounted)"
