#!/bin/busybox sh
# The guest's first program: mounts, modules, network, then commands from the second serial port (agent.sh).

/bin/busybox --install -s /usr/bin 2>/dev/null
export PATH=/usr/sbin:/usr/bin HOME=/root TERM=dumb
umask 022
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs tmp /tmp
mkdir -p /var/lib /var/log /dev/pts
mount -t securityfs security /sys/kernel/security 2>/dev/null
hostname guest

while read -r module; do
    insmod "/lib/modules/$module" || echo "guest: cannot load $module"
done < /etc/modules-load

ip link set lo up
if [ -d /sys/class/net/eth0 ]; then
    # The addresses of QEMU's user-mode network.
    ip addr add 10.0.2.15/24 dev eth0
    ip link set eth0 up
    ip route add default via 10.0.2.2
fi

. /agent.sh
