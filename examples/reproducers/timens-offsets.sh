#!/bin/sh
# CVE-2026-93146: kernels before 6.1.192 accept a time namespace offset whose nanoseconds are out of range
# (kernel/time/namespace.c, proc_timens_set_offset).
#
#   timens-offsets.sh          as root; needs /usr/bin/perl
#
# Harmless: the offset is set in a new time namespace that no process enters.
# Last line: 'verdict: ...'. Status: 0 the kernel is protected, 10 it is vulnerable, 2 it could not be found out.

# unshare(CLONE_NEWTIME) leaves the caller outside, so that it may still write the offsets of the namespace to come.
/usr/bin/perl -e '
    syscall(272, 0x80) == 0 or exit 3;
    open(my $offsets, ">", "/proc/self/timens_offsets") or exit 3;
    my $written = syswrite($offsets, "monotonic 5 18446744073709551615\n");
    exit 1 if defined $written;
    exit(int($!) == 22 ? 0 : 3);
'
case $? in
0) echo "verdict: protected (the kernel refuses the offset as invalid)" ;;
1) echo "verdict: vulnerable (the kernel accepts 18446744073709551615 nanoseconds)"; exit 10 ;;
*) echo "verdict: unknown (cannot set offsets: no time namespaces, no perl, or not root)"; exit 2 ;;
esac
