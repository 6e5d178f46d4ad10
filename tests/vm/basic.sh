# SPDX-License-Identifier: GPL-2.0-or-later
#
# The target's interface: both table forms, table line, status, messages, what
# removal keeps, read-only tables, suspend and resume, 4096-byte blocks.
#
# vm: --disk-size 256M --timeout 300
# files: blk
. ./lib.sh

MIB=32
REFERENCE=/tmp/reference
SEED=1
# The end of a table line without these options.
EVICTION="sequential_cutoff_kb 0 eviction clock"

# random_writes COUNT: the same to the device and to the reference.
random_writes() {
	./blk write $DEV $REFERENCE $MIB "$1" 1024 $((SEED++))
}

# holds FILE: its beginning is that of the reference.
holds() {
	same "$1" $REFERENCE $MIB
}

backing_reads() {
	awk '{ print $1 }' "/sys/block/${DISK#/dev/}/stat"
}

table_words() {
	dmsetup table $NAME | cut -d' ' -f6-
}

test_table() {
	say "the example line of the documentation"
	dmsetup create fast --table "0 $(blockdev --getsz $DISK) pcache $PMEM $DISK writeback true"
	equal "table" "$(table_words)" \
		"12 cache_mode writeback data_crc true gc_percent 70 writeback_order ordered $EVICTION"
	for word in "sb_flags 0" "seg_total 31" "cache_segs 31" "gc_percent 70" \
		"cache_flags 1183" "cache_mode writeback" "access rw" "check -" \
		"dirty_sectors 0" "cached_sectors 0" "crc_errors 0"; do
		# shellcheck disable=SC2086 # two words
		set -- $word
		equal "status word $1" "$(status "$1")" "$2"
	done
	local line
	line=$(dmsetup table $NAME)
	remove_cache
	say "the line that dmsetup table printed is taken back"
	dmsetup create $NAME --table "$line"
	equal "table" "$(dmsetup table $NAME)" "$line"
	remove_cache

	say "the counted form, all options"
	create_cache 16 cache_mode writeback data_crc false gc_percent 40 \
		writeback_order fast sequential_cutoff_kb 64 eviction fifo format force \
		backing_id disk-7
	equal "table" "$(table_words)" \
		"14 cache_mode writeback data_crc false gc_percent 40 writeback_order fast \
sequential_cutoff_kb 64 eviction fifo backing_id disk-7"
	line=$(dmsetup table $NAME)
	remove_cache
	dmsetup create $NAME --table "$line"
	equal "table" "$(dmsetup table $NAME)" "$line"
	remove_cache
	say "what no option says, the medium knows"
	create_cache
	equal "table" "$(table_words)" \
		"12 cache_mode writeback data_crc false gc_percent 40 writeback_order ordered $EVICTION"
	remove_cache
}

test_data() {
	say "random writes, read back"
	create_cache 4 data_crc true format force
	dd if=$DISK of=$REFERENCE bs=1M count=$MIB status=none
	random_writes $(work 800 60)
	holds $DEV
	at_least "writes" "$(status writes)" 60
	at_least "cached_sectors" "$(status cached_sectors)" "$(status dirty_sectors)"
	equal "crc_errors" "$(status crc_errors)" 0
	say "fills: what was read twice does not come from the backing device any more"
	local i before after
	for i in 1 2 3; do
		before=$(backing_reads)
		dd if=$DEV of=/dev/null bs=1M skip=$MIB count=16 iflag=direct status=none
		after=$(backing_reads)
		sleep 0.2
	done
	at_least "fills" "$(status fills)" 32
	equal "reads of the backing device" "$after" "$before"
	at_least "read_hits" "$(status read_hits)" 1
}

test_messages() {
	say "messages"
	message gc_percent 55
	equal "gc_percent" "$(status gc_percent)" 55
	log_mark
	refused message gc_percent 91
	logged "gc_percent 91 is not allowed, expected 0 to 90"
	refused message no_such_thing
	logged "no_such_thing is unknown"
	refused message data_crc true
	logged "data_crc is not an option that can be changed at run time"
	message stats | grep -qE '^writes [1-9]' || fail "stats names no writes"
	equal "lines of stats" "$(message stats | wc -l)" 27
	message clear_stats
	equal "writes after clear_stats" "$(status writes)" 0
	at_least "cached_sectors after clear_stats" "$(status cached_sectors)" 1
}

test_keep_dirty() {
	say "removal keeps dirty data"
	flush_cache
	equal "dirty_sectors after flush" "$(status dirty_sectors)" 0
	holds $DISK
	remove_cache
	backing linear
	export BACKING=/dev/mapper/backing
	create_cache
	equal "gc_percent" "$(status gc_percent)" 55
	backing error
	random_writes 50
	at_least "dirty_sectors" "$(status dirty_sectors)" 8
	log_mark
	remove_cache
	logged "dirty sectors in the cache"
	refused ./blk same $DISK $REFERENCE $MIB
	say "attach again: it is there, and a format is refused"
	backing linear
	refused create_cache 2 format force
	logged "holds a pcache with dirty data"
	create_cache
	holds $DEV
	flush_cache
	remove_cache
	holds $DISK
}

test_read_only() {
	say "read-only: writes nothing anywhere"
	create_cache
	backing error
	random_writes 50
	remove_cache
	backing linear
	local cache backing
	cache=$(sum $PMEM)
	backing=$(sum $DISK)
	CREATE_ARGS=--readonly create_cache
	equal "access" "$(status access)" ro
	at_least "dirty_sectors" "$(status dirty_sectors)" 4
	holds $DEV
	refused dd if=/dev/zero of=$DEV bs=4k count=1 oflag=direct
	refused message flush
	dmsetup suspend $NAME
	dmsetup resume $NAME
	remove_cache
	equal "the cache device" "$(sum $PMEM)" "$cache"
	equal "the backing device" "$(sum $DISK)" "$backing"
}

test_suspend() {
	say "suspend and resume under load"
	create_cache
	local i writer
	while [ ! -e /tmp/stop ]; do random_writes 10; done &
	writer=$!
	for ((i = 0; i < 8; i++)); do
		dmsetup suspend $( ((i % 2)) && echo --noflush) $NAME
		dmsetup resume $NAME
	done
	: >/tmp/stop
	wait $writer
	holds $DEV
	message flush_on_suspend
	random_writes 50
	dmsetup suspend $NAME
	equal "dirty_sectors after flush_on_suspend" "$(status dirty_sectors)" 0
	holds $DISK
	dmsetup resume $NAME
	say "cleaner: a write is done when the backing device has it"
	message cleaner
	random_writes 50
	holds $DISK
	equal "dirty_sectors with cleaner" "$(status dirty_sectors)" 0
	remove_cache
}

test_4096() {
	say "a backing device with blocks of 4096 bytes"
	truncate -s 64M /tmp/disk4k
	local loop
	modprobe loop
	loop=$(losetup -f --show --sector-size 4096 /tmp/disk4k)
	unset BACKING
	dmsetup remove backing
	# It is bound to a larger disk: only what is wiped may be taken.
	refused env BACKING=$loop bash -c '. ./lib.sh; create_cache'
	dd if=/dev/zero of=$PMEM bs=64k count=1 oflag=direct status=none
	BACKING=$loop create_cache
	local queue
	queue=/sys/block/dm-$(dmsetup info -c --noheadings -o minor $NAME)/queue
	equal "logical_block_size" "$(cat "$queue/logical_block_size")" 4096
	refused dd if=/dev/zero of=$DEV bs=512 count=1 oflag=direct
	mkfs.ext4 -q $DEV
	mount $DEV /mnt
	cp -r /usr/lib/modules /mnt/
	umount /mnt
	forget_pages $DEV
	fsck.ext4 -fn $DEV >/tmp/fsck 2>&1 || fail "fsck: $(cat /tmp/fsck)"
	flush_cache
	remove_cache
	mount -o ro "$loop" /mnt
	diff -r /usr/lib/modules /mnt/modules || fail "files differ on the backing device"
	umount /mnt
	losetup -d "$loop"
}

test_table
test_data
test_messages
test_keep_dirty
test_read_only
test_suspend
test_4096
say "done"
