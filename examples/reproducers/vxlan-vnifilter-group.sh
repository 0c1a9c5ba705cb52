#!/bin/sh
# CVE-2026-89776: kernels before 6.1.190 take a group of two bytes for an IPv4 address, and read beyond it
# (drivers/net/vxlan/vxlan_vnifilter.c, vni_filter_entry_policy).
#
#   vxlan-vnifilter-group.sh          as root; needs /usr/bin/perl, and the module vxlan
#
# Harmless: the two bytes behind the attribute are in the same message. The device that it makes is removed again.
# Last line: 'verdict: ...'. Status: 0 the kernel is protected, 10 it is vulnerable, 2 it could not be found out.

# rtnetlink(7): a vxlan device with a filter of VNIs, then a VNI for it whose group has two bytes.
/usr/bin/perl -e '
    socket(my $socket, 16, 3, 0) or exit 3;
    sub attribute { my ($type, $value) = @_;
        my $padding = "\0" x (-length($value) & 3);
        return pack("SS", 4 + length($value), $type) . $value . $padding; }
    sub ask { my ($type, $flags, $body) = @_;
        syswrite($socket, pack("LSSLL", 16 + length($body), $type, $flags | 5, 1, 0) . $body) or exit 3;
        sysread($socket, my $answer, 65536) or exit 3;
        return -unpack("l", substr($answer, 16, 4)); }
    my $name = "vxlan-probe";
    my $data = attribute(25, pack("C", 1)) . attribute(30, pack("C", 1));
    my $link = attribute(3, "$name\0") . attribute(0x8000 | 18, attribute(1, "vxlan\0") . attribute(0x8000 | 2, $data));
    ask(16, 0x600, pack("CxSlLL", 0, 0, 0, 0, 0) . $link) == 0 or exit 3;
    open(my $file, "<", "/sys/class/net/$name/ifindex") or exit 3;
    my $index = int(<$file>);
    my $entry = attribute(1, pack("L", 77)) . attribute(3, "\x0a\x01");
    my $added = ask(120, 0, pack("CCSL", 7, 0, 0, $index) . attribute(0x8000 | 1, $entry));
    ask(17, 0, pack("CxSlLL", 0, 0, $index, 0, 0));
    exit 0 if $added == 34;
    exit 1 if $added == 0;
    print "the kernel answers with error $added\n";
    exit 3;
'
case $? in
0) echo "verdict: protected (the kernel refuses a group of two bytes)" ;;
1) echo "verdict: vulnerable (the kernel takes a group of two bytes)"; exit 10 ;;
*) echo "verdict: unknown (cannot ask: module missing, no perl, or not root)"; exit 2 ;;
esac
