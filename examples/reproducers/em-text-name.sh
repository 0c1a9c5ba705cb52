#!/bin/sh
# CVE-2026-98969: kernels before 6.1.192 take the name of a text search algorithm out of a message without looking for its
# end (net/sched/em_text.c, em_text_change).
#
#   em-text-name.sh          as root; needs /usr/bin/perl, and the modules sch_ingress, cls_basic, em_text
#
# Harmless: the filter that it asks for is refused either way; what tells is the error.
# Last line: 'verdict: ...'. Status: 0 the kernel is protected, 10 it is vulnerable, 2 it could not be found out.

# rtnetlink(7): a clsact queue on the loopback device, then a filter 'basic' with one match of kind 'text' (5), whose
# algorithm is sixteen letters with no zero behind them.
/usr/bin/perl -e '
    socket(my $socket, 16, 3, 0) or exit 3;
    sub attribute { my ($type, $value) = @_;
        my $padding = "\0" x (-length($value) & 3);
        return pack("SS", 4 + length($value), $type) . $value . $padding; }
    sub ask { my ($type, $flags, $body) = @_;
        syswrite($socket, pack("LSSLL", 16 + length($body), $type, $flags | 5, 1, 0) . $body) or exit 3;
        sysread($socket, my $answer, 65536) or exit 3;
        return -unpack("l", substr($answer, 16, 4)); }
    my $device = 1;
    my $queue = ask(36, 0x600, pack("CxxxlLLL", 0, $device, 0xffff0000, 0xfffffff1, 0) . attribute(1, "clsact\0"));
    exit 3 unless $queue == 0 or $queue == 17;
    my $match = pack("SSSS", 0, 5, 0, 0) . ("k" x 16) . pack("SSSCC", 0, 4, 4, 0x11, 0) . "abcd";
    my $tree = attribute(1, pack("SS", 1, 0)) . attribute(2, attribute(1, $match));
    my $filter = ask(44, 0x600, pack("CxxxlLLL", 0, $device, 0, 0xfffffff2, 1 << 16 | 0x0300)
        . attribute(1, "basic\0") . attribute(2, attribute(2, $tree)));
    exit 0 if $filter == 22;
    exit 1 if $filter == 2;
    print "the kernel answers with error $filter\n";
    exit 3;
'
case $? in
0) echo "verdict: protected (the kernel refuses the name as invalid)" ;;
1) echo "verdict: vulnerable (the kernel looks for an algorithm of that name)"; exit 10 ;;
*) echo "verdict: unknown (cannot ask: modules missing, no perl, or not root)"; exit 2 ;;
esac
