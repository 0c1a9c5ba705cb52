#!/bin/busybox sh
# The guest's first program: mounts, modules, network, then commands from the second serial port.
# A command is one line, `ID BASE64`; every command runs on its own, so that one that hangs does not block the next.
# The answer is written by a single write(2), which a tty does not interleave with others.

/bin/busybox --install -s /usr/bin 2>/dev/null
export PATH=/usr/sbin:/usr/bin HOME=/root TERM=dumb
umask 022
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs tmp /tmp
mkdir -p /run/commands /var/lib /var/log /dev/pts
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

answer() {
    directory=/run/commands/$1
    mkdir -p "$directory"
    echo "$2" | base64 -d > "$directory/command"
    sh "$directory/command" > "$directory/stdout" 2> "$directory/stderr" < /dev/null 3>&-
    status=$?
    {
        echo "begin $1 $status"
        base64 "$directory/stdout"
        echo "stderr $1"
        base64 "$directory/stderr"
        echo "end $1"
    } > "$directory/answer"
    dd if="$directory/answer" bs=8M >&3 2> /dev/null
    rm -rf "$directory"
}

# busybox's 'read' forgets what it has of a line when a child ends meanwhile. So nobody is a child of the listener for
# longer than a moment: commands are orphans, which the first process, this one, inherits and reaps.
listen() {
    while read -r id command; do
        (answer "$id" "$command" < /dev/null &)
    done
}

exec 3<> /dev/ttyS1
stty raw -echo <&3
echo "ready" >&3
while :; do
    listen <&3 &
    while kill -0 $! 2> /dev/null; do
        wait
        sleep 1
    done
done
