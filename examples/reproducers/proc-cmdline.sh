#!/bin/sh
# Shows whether examples/patches/proc-cmdline.patch is in the running kernel. Harmless; needs nothing.
#
# Last line: 'verdict: ...'. Status: 0 it is there, 10 it is not.

if grep -q ' livepatched$' /proc/cmdline; then
    echo "verdict: protected (/proc/cmdline ends with 'livepatched')"
else
    echo "verdict: vulnerable (/proc/cmdline is as the boot loader gave it)"
    exit 10
fi
