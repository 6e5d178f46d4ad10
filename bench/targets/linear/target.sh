# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# dm-linear over persistent memory: what Device-Mapper costs.

setup() {
	dmsetup create linear --table "0 $(blockdev --getsz "$CACHE") linear $CACHE 0"
	NODE=/dev/mapper/linear
}

teardown() {
	dmsetup remove linear
}
