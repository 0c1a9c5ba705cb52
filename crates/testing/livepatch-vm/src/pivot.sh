#!/bin/busybox sh
# The first program of a guest with a root file system on a disk: modules, the disk, the test's files, then systemd.

/bin/busybox --install -s /usr/bin 2>/dev/null
export PATH=/usr/sbin:/usr/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
while read -r module; do
    insmod "/lib/modules/$module" || echo "guest: cannot load $module"
done < /etc/modules-load

# Disks are told apart by their serial number: letters depend on who is found first.
until root=$(grep -lx root /sys/block/vd*/serial 2>/dev/null); do
    usleep 20000
done
root=${root#/sys/block/}
mount -t ext4 -o noatime "/dev/${root%/serial}" /root || exec sh
(cd /payload && find . -type f) | while read -r file; do
    mkdir -p "/root/${file%/*}"
    cp -p "/payload/$file" "/root/$file"
done
mount -t tmpfs -o mode=755 run /root/run
mkdir /root/run/livepatch-vm
cp /usr/bin/busybox /agent.sh /root/run/livepatch-vm/
umount /proc /sys
mount --move /dev /root/dev
exec switch_root /root /sbin/init
