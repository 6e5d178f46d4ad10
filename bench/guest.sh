#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs in the machine of bench/run: sets up one target after the other and lets
# calls.c measure it. Prints, for each section that plugin.c has counted, in the
# same order, one of
#
#   calls TARGET OPERATION CALLS TRIMMED MEDIAN MEAN LEAST MOST
#   blocks TARGET OPERATION BLOCKS
#
# with "-" for what only prepares; and "missing TARGET OPERATION" for what failed.
# TARGETS and OPS, lists of names, say what is measured (OPS empty: all), PERCENT
# how many calls of those that are usual.
#
# A target is a folder targets/NAME with a target.sh, which is sourced and has
#   setup      makes NODE, with CACHE as the cache device and BACKING as the
#              backing device, each of which begins with a MiB of zeroes; with
#              WRITE_BACK=yes as it is usually used, otherwise it should write
#              back in clean only
#   teardown   removes it
#   CACHES     yes: it is a cache
#   clean      writes back all that is dirty; not there: no write-back
# and may use tool, a program that the host has brought, pause, and what else is in
# its folder, which may be a module. That of dm-pcache is loaded.
set -Eeuo pipefail
trap 'echo "guest.sh: line $LINENO failed: $BASH_COMMAND" >&2' ERR

MIB=$((1 << 20))
SPAN=$(((PERCENT < 10 ? 4 : 32) * MIB))
# Behind what any cache device here holds.
FAR=$((640 * MIB))
BACKING_4K=/dev/nullb0
BACKING_512=/dev/nullb1
CACHE=$PMEM
export CACHE

# tool PROGRAM ARGUMENTS...
tool() {
	LD_LIBRARY_PATH=./tools "./tools/$1" "${@:2}"
}

# pause SECONDS: starts no program, so that it is not seen in what is measured.
pause() {
	read -r -t "$1" -u 9 || true
}

wanted() {
	local name
	[ -n "$OPS" ] || return 0
	for name in $OPS; do
		for op; do
			[ "$name" != "$op" ] || return 0
		done
	done
	return 1
}

# many CALLS: as many as PERCENT leaves of them.
many() {
	local calls=$(($1 * PERCENT / 100))
	echo $((calls > 8 ? calls : 8))
}

# prepare KIND BYTES ORDER START SPAN CALLS [SEED]: calls that are not looked at.
prepare() {
	local result
	result=$(./calls "$NODE" "$@")
	echo "calls $TARGET - $result"
}

# measure OPERATION KIND BYTES ORDER START SPAN CALLS [SEED]
measure() {
	local result
	wanted "$1" || return 0
	if result=$(./calls "$NODE" "${@:2}"); then
		echo "calls $TARGET $1 $result"
	else
		echo "missing $TARGET $1"
	fi
}

# written BYTES ORDER: fills the span by writes of that size, and flushes, so that nobody
# pays for that later.
written() {
	prepare write "$1" "$2" 0 $SPAN $((SPAN / $1))
	prepare fsync 4096 sequential 0 $SPAN 1
}

after_large_writes() {
	written $MIB sequential
	measure read_hit_4k_large read 4096 random 0 $SPAN "$(many 1000)"
	measure write_4k write 4096 random 0 $SPAN "$(many 2000)"
}

after_small_writes() {
	written 4096 once
	measure read_hit_4k read 4096 random 0 $SPAN "$(many 1000)"
	prepare flush 4096 random 0 $SPAN 1
	measure flush_idle flush 4096 random 0 $SPAN "$(many 300)"
	measure fsync_after_write fsync 4096 random 0 $SPAN "$(many 300)"
	measure odsync_4k dsync 4096 random 0 $SPAN "$(many 300)"
	measure mixed_4k mixed 4096 random 0 $SPAN "$(many 1000)"
	measure overwrite_4k write 4096 random 0 $SPAN "$(many 2000)"
}

# size NAME BYTES ORDER CALLS: what is read, and written over, was written that way.
size() {
	written "$2" once
	measure "write_$1" write "$2" "$3" 0 $SPAN "$(many "$4")"
	measure "read_hit_$1" read "$2" "$3" 0 $SPAN "$(many "$4")"
}

misses() {
	measure read_miss_4k read 4096 once $FAR $SPAN "$(many 1000)"
}

# bracketed OPERATION BLOCKS: a section of what clean does.
bracketed() {
	./calls begin
	clean
	./calls end
	echo "blocks $TARGET $1 $2"
}

# write_back OPERATION ORDER: half of the blocks of the span are dirty. The second section
# is what the commands themselves cost.
write_back() {
	local blocks
	blocks=$(many 4096)
	prepare write 4096 "$2" 0 $SPAN "$blocks"
	prepare flush 4096 "$2" 0 $SPAN 1
	bracketed "$1" "$blocks"
	bracketed "$1-overhead" 1
}

hits_beside_write_back() {
	written 4096 once
	prepare write 4096 once $((2 * SPAN)) $((2 * SPAN)) "$(many 8192)"
	clean &
	measure read_hit_write_back read 4096 random 0 $SPAN "$(many 1000)"
	wait
}

full() {
	local mib
	mib=$(($(blockdev --getsize64 "$CACHE") / MIB))
	prepare write $MIB sequential 0 $((mib * MIB)) $mib
	measure write_full_4k write 4096 random 0 $((2 * mib * MIB)) "$(many 8000)"
}

small() {
	written $MIB sequential
	measure write_512 write 512 random 0 $SPAN "$(many 500)"
	measure read_hit_512 read 512 random 0 $SPAN "$(many 500)"
}

# fresh OPERATIONS COMMAND...: on a device that has just been made, so that what others
# have left is not seen.
fresh() {
	# shellcheck disable=SC2086 # a list of words
	wanted $1 || return 0
	start
	"${@:2}"
	teardown
}

start() {
	local device
	# What the target before has left, or has written there.
	for device in "$CACHE" "$BACKING"; do
		dd if=/dev/zero of="$device" bs=1M count=1 oflag=direct status=none
	done
	setup
}

one_target() {
	TARGET=$1
	BACKING=$BACKING_4K
	CACHES=no
	# shellcheck source=/dev/null
	. "./targets/$TARGET/target.sh"
	WRITE_BACK=no
	fresh "read_hit_4k_large write_4k" after_large_writes
	fresh "read_hit_4k flush_idle fsync_after_write odsync_4k mixed_4k overwrite_4k" \
		after_small_writes
	fresh "write_16k read_hit_16k" size 16k 16384 random 200
	fresh "write_64k read_hit_64k" size 64k 65536 sequential 200
	fresh "write_128k read_hit_128k" size 128k 131072 random 200
	fresh "write_1m read_hit_1m" size 1m $MIB random 40
	BACKING=$BACKING_512
	fresh "write_512 read_hit_512" small
	BACKING=$BACKING_4K
	[ "$CACHES" = yes ] || return 0
	fresh read_miss_4k misses
	WRITE_BACK=yes
	fresh write_full_4k full
	WRITE_BACK=no
	[ "$(type -t clean)" = function ] || return 0
	fresh write_back_random write_back write_back_random once
	fresh write_back_sequential write_back write_back_sequential sequential
	fresh read_hit_write_back hits_beside_write_back
}

# write_backing START MIB: what is there when it is measured need not be made then.
write_backing() {
	dd if=/dev/zero of=$BACKING_4K bs=1M seek="$1" count="$2" oflag=direct conv=notrunc \
		status=none
}

make_backing() {
	local size=$((2 * $(blockdev --getsize64 "$PMEM") / MIB))
	modprobe null_blk nr_devices=0
	mount -t configfs none /sys/kernel/config
	add_null_blk 0 4096 $size
	if wanted write_full_4k; then
		write_backing 0 $size
	else
		write_backing 0 $((4 * SPAN / MIB))
		write_backing $((FAR / MIB)) $((SPAN / MIB))
	fi
	! wanted write_512 read_hit_512 || add_null_blk 1 512 64
}

# add_null_blk NUMBER BLOCK MIB
add_null_blk() {
	local dir=/sys/kernel/config/nullb/nullb$1
	mkdir "$dir"
	echo "$2" >"$dir/blocksize"
	echo "$3" >"$dir/size"
	echo 1 >"$dir/memory_backed"
	echo 1 >"$dir/power"
}

mkfifo /tmp/nothing
exec 9<>/tmp/nothing
make_backing
./calls ready
for name in $TARGETS; do
	# Not "(one_target) || ...": errexit would be off inside.
	set +e
	(set -e; one_target "$name")
	status=$?
	set -e
	[ $status = 0 ] || echo "missing $name *"
done
echo symbols
cat /proc/kallsyms
