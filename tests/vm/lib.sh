# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Sourced first by every test that runs in the machine. A command that fails
# ends the test, unless its status is asked for.
set -Eeuo pipefail
trap 'fail "line $LINENO: $BASH_COMMAND: status $?"' ERR

# The name that create_cache gives a device when it is not told another.
NAME=fast
DEV=/dev/mapper/$NAME

# The words of the status line, behind start, length and target.
STATUS_WORDS=(sb_flags seg_total cache_segs segs_used gc_percent cache_flags
	key_head dirty_tail key_tail cache_mode access check dirty_sectors
	cached_sectors read_hits read_partial_hits read_misses writes
	write_overwrites fills bypasses discards flushes space_waits
	writeback_sectors writeback_errors media_errors crc_errors
	reclaimed_segments second_chances room)

# work NORMAL REDUCED: how much of something; less on a kernel that checks itself.
work() {
	if [ -n "${SLOW-}" ]; then
		echo "$2"
	else
		echo "$1"
	fi
}

say() {
	echo "[$SECONDS s] $*"
}

fail() {
	trap - ERR
	echo "FAIL: $*"
	dmsetup status 2>&1 || true
	exit 1
}

# equal WHAT GOT WANTED
equal() {
	[ "$2" = "$3" ] || fail "$1 is '$2', expected '$3'"
}

# at_least WHAT GOT WANTED
at_least() {
	[ "$2" -ge "$3" ] || fail "$1 is $2, expected at least $3"
}

# refused COMMAND...: it must fail.
refused() {
	! "$@" >/dev/null 2>&1 || fail "'$*' worked, expected it to be refused"
}

# create_cache [OPTION WORDS OF THE TABLE LINE]; CACHE and BACKING may name
# other devices than the machine's, CREATE_ARGS options of dmsetup.
create_cache() {
	local backing=${BACKING:-$DISK}
	# shellcheck disable=SC2086 # a list of words
	dmsetup create $NAME ${CREATE_ARGS-} --table \
		"0 $(blockdev --getsz "$backing") pcache ${CACHE:-$PMEM} $backing${*:+ $*}"
}

remove_cache() {
	dmsetup remove "${1:-$NAME}"
}

# backing_table LINES: what the device "backing", which stands before the disk, is now.
backing_table() {
	if [ -e /dev/mapper/backing ]; then
		dmsetup load backing <<<"$1"
		dmsetup suspend --noflush --nolockfs backing
		dmsetup resume backing
	else
		dmsetup create backing <<<"$1"
	fi
}

# backing TARGET [ARGUMENTS BEHIND THE DEVICE]: all of it is linear, error or flakey.
backing() {
	local table
	table="0 $(blockdev --getsz $DISK) $1"
	[ "$1" = error ] || table="$table $DISK 0 ${*:2}"
	backing_table "$table"
}

# long NAME DEVICE SECTORS: a linear device, made or changed.
long() {
	dmsetup info "$1" >/dev/null 2>&1 || dmsetup create "$1" --notable
	dmsetup load "$1" --table "0 $3 linear $2 0"
	dmsetup suspend --nolockfs "$1"
	dmsetup resume "$1"
}

message() {
	dmsetup message $NAME 0 "$@"
}

flush_cache() {
	message flush
}

# status WORD: one word of the status line.
status() {
	local i line
	line=$(dmsetup status $NAME)
	# shellcheck disable=SC2206 # a list of words
	local words=($line)
	for i in "${!STATUS_WORDS[@]}"; do
		if [ "${STATUS_WORDS[i]}" = "$1" ]; then
			echo "${words[i + 3]}"
			return
		fi
	done
	fail "the status line has no word $1"
}

# With blocks of several sizes fio takes what an earlier run has left there for good, unless
# it has another kind of sum.
fio_runs() {
	local run sums=(crc32c crc32 xxhash crc64)
	for ((run = 1; ; run++)); do
		fio --name=verify --size=3M --rw=randwrite --bsrange=512-64k --blockalign=512 \
			--direct=1 --ioengine=libaio --iodepth=8 --numjobs=2 \
			--verify=${sums[run % 4]} --verify_fatal=1 --fsync=32 --randseed=$run \
			--group_reporting --output=/tmp/fio "$@" || return 1
		[ ! -e /tmp/stop ] || return 0
	done
}

# start_load FIO OPTIONS...: fio writes and verifies, again and again, until end_load.
start_load() {
	rm -f /tmp/stop
	LOAD_STAT=/sys/dev/block/$(dmsetup info -c --noheadings --separator : -o major,minor $NAME)/stat
	fio_runs "$@" &
	LOAD=$!
}

# wrote_or_ended COUNT: so many writes of the device have ended, or the load has.
wrote_or_ended() {
	local writes
	read -r _ _ _ _ writes _ <"$LOAD_STAT"
	[ "$writes" -ge "$1" ] || ! kill -0 $LOAD 2>/dev/null
}

# load_goes_on COUNT: so many more writes end, and the load has not.
load_goes_on() {
	local writes
	read -r _ _ _ _ writes _ <"$LOAD_STAT"
	wait_until 100 wrote_or_ended $((writes + $1))
	kill -0 $LOAD 2>/dev/null || fail "the load has ended: $(tail -n 30 /tmp/fio)"
}

end_load() {
	: >/tmp/stop
	wait $LOAD || fail "fio: $(tail -n 30 /tmp/fio)"
}

# After this, logged looks at what the kernel logs from now on. vm/run, which
# looks at the console, still sees everything.
log_mark() {
	dmesg --clear
}

# logged TEXT: the kernel has, or does in a moment.
logged() {
	local i log
	for ((i = 0; i < 30; i++)); do
		log=$(dmesg)
		if [[ $log == *"$1"* ]]; then
			return
		fi
		sleep 0.1
	done
	fail "the kernel's log should have '$1', but has: ${log: -1000}"
}

# sum FILE [MIB]: a checksum of it, or of its beginning.
sum() {
	forget_pages "$1"
	./blk sum "$@"
}

# same FILE FILE [MIB]: they, or their beginnings, must be the same.
same() {
	local diff
	forget_pages "$1"
	forget_pages "$2"
	diff=$(./blk same "$@") || fail "$diff"
}

# wait_until SECONDS COMMAND...: until it succeeds.
wait_until() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || fail "'$*' did not come true in time"
		sleep 0.1
	done
}

# Drops what the page cache holds of a device: others have written to it.
forget_pages() {
	[ ! -b "$1" ] || blockdev --flushbufs "$1"
}
