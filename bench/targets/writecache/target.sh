# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# dm-writecache on persistent memory, blocks as large as those of the backing device.

CACHES=yes

setup() {
	modprobe dm-writecache
	dmsetup create writecache --table "0 $(blockdev --getsz "$BACKING") writecache p \
		$BACKING $CACHE $(blockdev --getss "$BACKING") 0"
	NODE=/dev/mapper/writecache
}

clean() {
	dmsetup message writecache 0 flush
}

teardown() {
	dmsetup remove writecache
}
