# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# bcache, write-back, with nothing bypassed. It writes back in clean() only, or all the
# time for the operations with WRITE_BACK=yes.

CACHES=yes
SYSFS=/sys/block/bcache0/bcache

setup() {
	local file
	modprobe bcache
	tool make-bcache --wipe-bcache --writeback -w "$(blockdev --getss "$BACKING")" \
		-C "$CACHE" -B "$BACKING" >/dev/null
	echo "$CACHE" >/sys/fs/bcache/register
	echo "$BACKING" >/sys/fs/bcache/register
	NODE=/dev/bcache0
	until [ -b $NODE ] && [ -e $SYSFS/cache ]; do
		pause 0.1
	done
	echo 0 >$SYSFS/sequential_cutoff
	for file in "$SYSFS"/cache/congested_{read,write}_threshold_us; do
		echo 0 >"$file"
	done
	# Not at a rate, and without a wait behind each turn.
	echo 0 >$SYSFS/writeback_percent
	echo 0 >$SYSFS/writeback_delay
	[ "$WRITE_BACK" = yes ] || echo 0 >$SYSFS/writeback_running
}

clean() {
	local state
	echo 1 >$SYSFS/writeback_running
	until read -r state <$SYSFS/state && [ "$state" = clean ]; do
		pause 0.2
	done
	[ "$WRITE_BACK" = yes ] || echo 0 >$SYSFS/writeback_running
}

teardown() {
	local set
	echo 1 >$SYSFS/stop
	for set in /sys/fs/bcache/*-*; do
		echo 1 >"$set/unregister"
	done
	while [ -e $NODE ] || compgen -G '/sys/fs/bcache/*-*' >/dev/null; do
		pause 0.1
	done
}
