# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Persistent memory as the kernel's own driver shows it.

setup() {
	NODE=$CACHE
}

teardown() {
	:
}
