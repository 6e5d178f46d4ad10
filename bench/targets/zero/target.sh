# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# dm-zero: a target that does nothing, not even a copy of what is written.

setup() {
	modprobe dm-zero
	dmsetup create zero --table "0 $(blockdev --getsz "$BACKING") zero"
	NODE=/dev/mapper/zero
}

teardown() {
	dmsetup remove zero
}
