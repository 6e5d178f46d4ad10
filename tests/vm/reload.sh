# SPDX-License-Identifier: GPL-2.0-or-later
#
# Tables that take over a live cache under load: options, modes, read-only, a backing
# device that has grown. The cache device grows, and is used after the message resize.
# Both devices are linear ones, which can be made longer.
#
# vm: --pmem-size 768M --disk-size 256M --timeout 300
# files: blk
. ./lib.sh

MIB=64
REFERENCE=/tmp/reference
SEED=1
# Segments of 16 MiB and what stands before them.
SMALL=$(((20480 + 32 * 16 * 1048576) / 512))
LARGE=$(((20480 + 40 * 16 * 1048576) / 512))
CACHE=/dev/mapper/cache
BACKING=/dev/mapper/back

# line [OPTION WORDS]
line() {
	echo "0 $(blockdev --getsz $BACKING) pcache $CACHE $BACKING${*:+ $*}"
}

# reload [OPTION WORDS]
reload() {
	dmsetup load $NAME --table "$(line "$@")"
	dmsetup resume $NAME
}

# load_refused REASON LINE
load_refused() {
	log_mark
	refused dmsetup load $NAME --table "$2"
	logged "$1"
}

table_words() {
	dmsetup table "$@" $NAME | cut -d' ' -f6-
}

# Random writes until there is /tmp/stop.
writes() {
	local seed=$((SEED * 1000))
	while ./blk write $DEV $REFERENCE $MIB "$(work 2000 200)" 128 $((seed++)); do
		[ ! -e /tmp/stop ] || return 0
	done
	return 1
}

# under_load COMMAND...: while random writes go on.
under_load() {
	local job
	rm -f /tmp/stop
	writes &
	job=$!
	"$@"
	: >/tmp/stop
	wait $job
	SEED=$((SEED + 1))
}

is_clean() {
	[ "$(status dirty_sectors)" = 0 ]
}

mode_is() {
	[ "$(status cache_mode)" = "$1" ]
}

many_reloads() {
	local i
	for ((i = 0; i < $(work 10 4); i++)); do
		reload 2 cache_mode writethrough
		reload 4 gc_percent 10 writeback_order fast
		reload 4 cache_mode writearound eviction fifo
		dmsetup suspend --noflush $NAME
		reload 4 gc_percent 70 cache_mode writeonly
		dmsetup load $NAME --table "$(line 2 gc_percent 5)"
		dmsetup clear $NAME
		reload 2 cache_mode writeback
	done
}

test_reload() {
	say "a load changes nothing, the resume all"
	create_cache
	dd if=/dev/urandom of=$DEV bs=1M count=$MIB oflag=direct status=none
	dd if=$DEV of=$REFERENCE bs=1M count=$MIB iflag=direct status=none
	dmsetup load $NAME --table "$(line 8 gc_percent 33 cache_mode writeonly \
		eviction fifo sequential_cutoff_kb 256)"
	equal "gc_percent" "$(status gc_percent)" 70
	equal "live table" "$(table_words)" "12 cache_mode writeback data_crc false gc_percent 70 \
writeback_order ordered sequential_cutoff_kb 0 eviction clock"
	equal "other table" "$(table_words --inactive)" "12 cache_mode writeonly data_crc false \
gc_percent 33 writeback_order ordered sequential_cutoff_kb 256 eviction fifo"
	local writes
	writes=$(status writes)
	dmsetup resume $NAME
	equal "gc_percent" "$(status gc_percent)" 33
	at_least "writes" "$(status writes)" "$writes"
	same $DEV $REFERENCE $MIB

	say "refused"
	load_refused "Cache was formatted with data_crc false" "$(line 2 data_crc true)"
	load_refused "A live cache is not formatted" "$(line 2 format force)"
	load_refused "Cache device is live with another backing device" \
		"0 2048 pcache $CACHE $DISK"
	load_refused "Table is longer than the backing device" \
		"0 $(($(blockdev --getsz $BACKING) + 8)) pcache $CACHE $BACKING"
	refused dmsetup create other --table "$(line)"

	say "under load"
	reload 2 cache_mode writeback
	under_load many_reloads
	same $DEV $REFERENCE $MIB
	say "to writethrough, with dirty data"
	reload 2 cache_mode writethrough
	wait_until 60 mode_is writethrough
	same $BACKING $REFERENCE $MIB
	reload 2 cache_mode writeback
}

test_read_only() {
	say "read-only and back, with dirty data"
	backing_words=$(dmsetup table back)
	under_load true
	dmsetup load $NAME --readonly --table "$(line)"
	dmsetup resume $NAME
	equal "access" "$(status access)" ro
	same $DEV $REFERENCE $MIB
	refused dd if=/dev/zero of=$DEV bs=4k count=1 oflag=direct
	reload
	equal "access" "$(status access)" rw
	blockdev --setrw $DEV
	under_load true
	same $DEV $REFERENCE $MIB
	equal "backing" "$(dmsetup table back)" "$backing_words"
}

test_backing() {
	say "the backing device has grown"
	local before
	before=$(blockdev --getsz $DEV)
	long back $DISK "$(blockdev --getsz $DISK)"
	reload
	at_least "length" "$(blockdev --getsz $DEV)" $((before + 2048))
	dd if=/dev/urandom of=$DEV bs=4k count=1 seek=$((before / 8)) oflag=direct,dsync status=none
	same $DEV $REFERENCE $MIB
}

has_written() {
	[ "$(status writes)" -gt "$1" ]
}

grow_and_tell() {
	wait_until 30 has_written "$(status writes)"
	long cache $PMEM $LARGE
	message resize
}

test_resize() {
	say "the cache device grows"
	equal "cache_segs" "$(status cache_segs)" 32
	message resize
	equal "cache_segs" "$(status cache_segs)" 32
	under_load grow_and_tell
	equal "cache_segs" "$(status cache_segs)" 40
	equal "seg_total" "$(status seg_total)" 40
	same $DEV $REFERENCE $MIB
	long cache $PMEM $((LARGE + 1024))
	message resize
	equal "cache_segs" "$(status cache_segs)" 40
	flush_cache
	same $BACKING $REFERENCE $MIB
	remove_cache
	create_cache
	equal "cache_segs" "$(status cache_segs)" 40
	same $DEV $REFERENCE $MIB
	remove_cache
}

long cache $PMEM $SMALL
long back $DISK $(($(blockdev --getsz $DISK) - 65536))
test_reload
test_read_only
test_backing
test_resize
