#!/bin/sh
# CVE-2025-38709: kernels before 6.1.192 let anyone with the device open change a loop device's block size under its
# exclusive owner (drivers/block/loop.c, lo_ioctl).
#
#   loop-block-size.sh         as root, with the module 'loop'; needs /usr/bin/perl
#
# Last line: 'verdict: ...'. Status: 0 the kernel is protected, 10 it is vulnerable, 2 it could not be found out.

unknown() {
    echo "verdict: unknown ($*)"
    exit 2
}

backing=$(mktemp)
dd if=/dev/zero of="$backing" bs=1M count=1 2> /dev/null || unknown "cannot make a backing file"
device=$(losetup -f) && losetup "$device" "$backing" || unknown "no loop device: is the module 'loop' loaded?"

# 0x80 is O_EXCL, 0x4C09 LOOP_SET_BLOCK_SIZE (include/uapi/linux/loop.h), 16 EBUSY.
DEVICE=$device /usr/bin/perl -e '
    sysopen(my $owner, $ENV{DEVICE}, 2 | 0x80) or exit 3;
    sysopen(my $other, $ENV{DEVICE}, 2) or exit 3;
    exit 1 if syscall(16, fileno($other), 0x4C09, 4096) == 0;
    exit(int($!) == 16 ? 0 : 3);
'
status=$?
losetup -d "$device"
case $status in
0) echo "verdict: protected (the kernel answers EBUSY)" ;;
1) echo "verdict: vulnerable (the block size of $device was changed under its owner)"; exit 10 ;;
*) unknown "the ioctl could not be tried" ;;
esac
