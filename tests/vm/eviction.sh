# SPDX-License-Identifier: GPL-2.0-or-later
#
# What leaves the cache: with eviction clock, what is read again and again stays; with
# fifo it goes. With sequential_cutoff_kb, long streams of reads bypass the cache. Table
# line and messages of both.
#
# vm: --pmem-size 512M --disk-size 512M --timeout 300
# files: blk
. ./lib.sh

TRACING=/sys/kernel/tracing
COLD=64		# MiB; what is written there is not read

# put KIB COUNT [AT]: so many writes of KIB, one behind the other, from the AT-th on.
put() {
	dd if=/dev/urandom of=$DEV bs="$1k" count="$2" seek="${3-0}" oflag=direct status=none
}

# get KIB COUNT [AT]: the same, read.
get() {
	dd if=$DEV of=/dev/null bs="$1k" count="$2" skip="${3-0}" iflag=direct status=none
}

table_words() {
	dmsetup table $NAME | cut -d' ' -f6-
}

stat_at_least() {
	[ "$(status "$1")" -ge "$2" ]
}

# Reads 1 MiB at the beginning time and again, while twice of what the cache takes before it
# reclaims is written behind it.
read_hot() {
	local i
	put 64 16
	flush_cache
	message clear_stats
	for ((i = 0; i < 16; i++)); do
		get 64 16
		put 256 64 $((COLD * 4 + i % 8 * 64))
		flush_cache
	done
	at_least "reclaimed_segments" "$(status reclaimed_segments)" 8
}

test_table() {
	local line
	say "defaults, and the line that dmsetup table prints"
	create_cache
	equal "table" "$(table_words)" "12 cache_mode writeback data_crc false gc_percent 70 \
writeback_order ordered sequential_cutoff_kb 0 eviction clock"
	remove_cache
	create_cache 8 gc_percent 20 eviction fifo sequential_cutoff_kb 4096 data_crc false
	equal "table" "$(table_words)" "12 cache_mode writeback data_crc false gc_percent 20 \
writeback_order ordered sequential_cutoff_kb 4096 eviction fifo"
	line=$(dmsetup table $NAME)
	remove_cache
	dmsetup create $NAME --table "$line"
	equal "table" "$(dmsetup table $NAME)" "$line"
	remove_cache
	say "neither is kept on the medium"
	create_cache
	equal "table" "$(table_words)" "12 cache_mode writeback data_crc false gc_percent 20 \
writeback_order ordered sequential_cutoff_kb 0 eviction clock"
}

test_messages() {
	say "messages"
	log_mark
	refused message eviction lru
	logged "eviction lru is not allowed, expected fifo or clock"
	refused message sequential_cutoff_kb 1048577
	logged "sequential_cutoff_kb 1048577 is not allowed, expected 0 to 1048576"
	message sequential_cutoff_kb 1048576
	message eviction fifo
	[[ $(table_words) == *" sequential_cutoff_kb 1048576 eviction fifo" ]] ||
		fail "the table is $(table_words)"
	message sequential_cutoff_kb 0
}

test_eviction() {
	say "fifo: what is hot goes as well"
	read_hot
	at_least "read_misses" "$(status read_misses)" 16
	equal "second_chances" "$(status second_chances)" 0
	say "clock: it stays"
	message eviction clock
	echo 1 >$TRACING/events/dm_pcache/pcache_second_turn/enable
	echo 1 >$TRACING/tracing_on
	read_hot
	echo 0 >$TRACING/events/dm_pcache/pcache_second_turn/enable
	at_least "second_chances" "$(status second_chances)" 8
	equal "read_misses" "$(status read_misses)" 0
	at_least "lines in the trace" "$(grep -cE \
		' pcache_second_turn: [0-9]+:[0-9]+ [0-9]+ \+ [0-9]+ segment [0-9]+ to [0-9]+$' \
		$TRACING/trace)" 8
	for word in dirty_sectors media_errors crc_errors; do
		equal "$word" "$(status $word)" 0
	done
	same $DEV $DISK
}

test_cutoff() {
	local at=$((COLD * 16 + 4096))
	say "a long stream bypasses the cache"
	message sequential_cutoff_kb 256
	message clear_stats
	get 64 32 $at
	wait_until 30 stat_at_least fills 4
	equal "bypasses" "$(status bypasses)" 28
	equal "fills" "$(status fills)" 4
	say "without a cutoff it fills"
	message sequential_cutoff_kb 0
	message clear_stats
	get 64 32 $at
	wait_until 30 stat_at_least fills 28
	equal "bypasses" "$(status bypasses)" 0
}

test_table
test_messages
test_eviction
test_cutoff
remove_cache
say "done"
