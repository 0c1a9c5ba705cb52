# Takes commands from the second serial port; run by busybox, in the initramfs by its first program and else by systemd.
# A command is one line, `ID BASE64`; every command runs on its own, so that one that hangs does not block the next.
# The answer is written by a single write(2), which a tty does not interleave with others.

mkdir -p /run/commands

answer() {
    directory=/run/commands/$1
    mkdir -p "$directory"
    echo "$2" | base64 -d > "$directory/command"
    /bin/sh "$directory/command" > "$directory/stdout" 2> "$directory/stderr" < /dev/null 3>&-
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
