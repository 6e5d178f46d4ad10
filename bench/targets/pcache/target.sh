# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# dm-pcache, DATA_CRC as it is set. It writes back in clean() only, or all the time for
# the operations with WRITE_BACK=yes.

CACHES=yes
DATA_CRC=false

setup() {
	local held="writeback_delay_ms 3600000"
	[ "$WRITE_BACK" != yes ] || held="writeback_delay_ms 0"
	dmsetup create pcache --table "0 $(blockdev --getsz "$BACKING") pcache $CACHE $BACKING \
		4 data_crc $DATA_CRC $held"
	NODE=/dev/mapper/pcache
}

clean() {
	dmsetup message pcache 0 flush
}

teardown() {
	dmsetup remove pcache
}
