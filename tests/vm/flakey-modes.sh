# SPDX-License-Identifier: GPL-2.0-or-later
#
# A backing device that fails, wholly, in one place, or now and then, and comes back, in
# the modes other than writeback. In writethrough and writearound the writer is told, and
# only what the backing device has is acknowledged; in writeonly the cache takes all. What
# is cached is read on. In the end all is written, also what failed.
#
# vm: --pmem-size 512M --disk-size 64M --timeout 300
# files: numbered blk
. ./lib.sh

MIB=2		# of the device are written to
CACHED_MIB=4	# what is cached then, so that read-ahead does not go past it
BAD_AT=1920	# sectors that do not work, some of two writers
BAD_END=2176
BAD_PAGES=6400	# 16 sectors that do not work either
seq=1

event_nr() {
	dmsetup info -c --noheadings -o events $NAME
}

has_errors() {
	[ "$(status writeback_errors)" -gt "$1" ]
}

mode_is() {
	[ "$(status cache_mode)" = "$1" ]
}

all_is_cached() {
	[ "$(status cached_sectors)" -ge $((CACHED_MIB * 2048)) ]
}

# Does a write wait for the backing device?
is_through() {
	[ $MODE != writeonly ]
}

# attempt COUNT: random writes, by four at once. The file now has them, acked those of all
# times that were acknowledged, tried all.
attempt() {
	./numbered attempt $DEV $MIB $seq "$1" 4 >now
	seq=$((seq + 1000))
	sed -n '/^A/p' now >>acked
	sed 's/^E/A/' now >>tried
}

# count A|E: how many of the last attempt's were acknowledged, or failed.
count() {
	grep -c "^$1" now || true
}

# has_writes DEVICE FILE: for each sector it has the newest write of the file, or a newer one.
has_writes() {
	forget_pages "$1"
	./numbered verify "$1" $MIB "$2" >found || fail "$MODE, $1: $(cat found)"
}

# put SECTOR: 8 sectors.
put() {
	dd if=/dev/urandom of=$DEV bs=4k count=1 seek=$(($1 / 8)) oflag=direct status=none
}

is_dirty() {
	[ "$(status dirty_sectors)" -ge "$1" ]
}

cannot_read() {
	refused dd if=$DEV of=/dev/null bs=4k count=1 skip=$((CACHED_MIB * 1024)) iflag=direct
}

# Reads fill; in writeonly they do not.
fill() {
	is_through || message cache_mode writeback
	dd if=$DEV of=/dev/null bs=256k count=$((CACHED_MIB * 4)) iflag=direct status=none
	wait_until 30 all_is_cached
	message cache_mode $MODE
}

# All works again, and gets to the backing device.
come_back() {
	backing linear
	attempt 20
	equal "failed writes, $MODE" "$(count E)" 0
	flush_cache
	equal "dirty_sectors" "$(status dirty_sectors)" 0
	logged "write-back works again"
	has_writes $DISK tried
	has_writes $DEV tried
}

# test_gone [cached]: all is cached.
test_gone() {
	local errors events
	say "$MODE: the backing device is gone"
	errors=$(status writeback_errors)
	events=$(event_nr)
	log_mark
	backing error
	attempt 40
	equal "failed writes, $MODE" "$(count E)" "$(is_through && echo 40 || echo 0)"
	wait_until 30 has_errors "$errors"
	logged "write-back failed; data stays dirty"
	at_least "events" "$(event_nr)" $((events + 1))
	at_least "dirty_sectors" "$(status dirty_sectors)" 100
	equal "access" "$(status access)" rw
	cannot_read
	[ $# = 0 ] || has_writes $DEV tried
	come_back
}

# Of the last attempt, those that need the bad place have failed, and they alone.
check_bad() {
	awk -v at=$BAD_AT -v end=$BAD_END '
		($2 < end && $2 + $3 > at) != ($1 == "E") { print "wrong: " $0 }
		{ seen[$1]++ }
		END { if (!seen["A"] || !seen["E"]) print "expected both A and E" }' now >wrong
	[ ! -s wrong ] || fail "$MODE, sectors $BAD_AT to $BAD_END do not work: $(cat wrong)"
}

# check_neighbours GOOD BAD: writes there, one behind the other, fail each for itself. They
# are written back together, with a third one, after what is under way when they come.
check_neighbours() {
	local dirty good=() bad job
	dirty=$(status dirty_sectors)
	dmsetup suspend backing
	put $((BAD_PAGES - 256)) &
	good+=($!)
	wait_until 30 is_dirty $((dirty + 8))
	put $((BAD_PAGES - 512)) &
	good+=($!)
	put "$1" &
	good+=($!)
	refused put "$2" &
	bad=$!
	wait_until 30 is_dirty $((dirty + 32))
	dmsetup resume backing
	for job in "${good[@]}"; do
		wait $job || fail "$MODE: a write has failed with its neighbour"
	done
	wait $bad || fail "$MODE: a write to what does not work was acknowledged"
}

# test_bad_place [cached]
test_bad_place() {
	say "$MODE: a part of the backing device does not work"
	log_mark
	backing_table "0 $BAD_AT linear $DISK 0
$BAD_AT $((BAD_END - BAD_AT)) error
$BAD_END $((BAD_PAGES - BAD_END)) linear $DISK $BAD_END
$BAD_PAGES 16 error
$((BAD_PAGES + 16)) $(($(blockdev --getsz $DISK) - BAD_PAGES - 16)) linear $DISK $((BAD_PAGES + 16))"
	if [ $# = 0 ]; then
		# How many more go around the cache depends on when the first one fails.
		put $((BAD_PAGES - 256))
		equal "bypasses" "$(status bypasses)" $([ $MODE = writearound ] && echo 1 || echo 0)
	elif is_through; then
		check_neighbours $((BAD_PAGES - 8)) $BAD_PAGES
	fi
	attempt 100
	if is_through; then
		check_bad
		has_writes $DISK acked
		[ $# = 0 ] || check_neighbours $((BAD_PAGES + 16)) $((BAD_PAGES + 8))
	else
		equal "failed writes, $MODE" "$(count E)" 0
	fi
	[ $# = 0 ] || has_writes $DEV tried
	come_back
}

# test_now_and_then ERRORS: that there were before. At its end the cache could be lost.
test_now_and_then() {
	local acked=0 failed=0
	say "$MODE: it fails now and then"
	log_mark
	backing flakey 1 1 1 error_writes
	while [ $acked -lt 20 ] || { is_through && [ $failed -lt 20 ]; } ||
		! has_errors "$1"; do
		attempt 20
		acked=$((acked + $(count A)))
		failed=$((failed + $(count E)))
	done
	backing error
	if is_through; then
		has_writes $DISK acked
	else
		equal "failed writes, $MODE" $failed 0
	fi
	has_writes $DEV tried
	say "status: $(dmsetup status $NAME)"
}

# test_removal ORDER: of write-back afterwards.
test_removal() {
	say "$MODE: removal, and another attach, while it fails"
	attempt 40
	at_least "dirty_sectors" "$(status dirty_sectors)" 100
	remove_cache
	BACKING=/dev/mapper/backing create_cache 2 writeback_order "$1"
	at_least "dirty_sectors" "$(status dirty_sectors)" 100
	equal "cache_mode" "$(status cache_mode)" "$(is_through && echo writeback || echo $MODE)"
	has_writes $DEV tried
	attempt 40
	equal "failed writes, $MODE" "$(count E)" "$(is_through && echo 40 || echo 0)"
	has_writes $DEV tried
	come_back
	wait_until 30 mode_is $MODE
}

# new_cache ORDER
new_cache() {
	BACKING=/dev/mapper/backing create_cache 8 cache_mode $MODE data_crc true \
		writeback_order "$1" format force
	equal "cached_sectors" "$(status cached_sectors)" 0
}

# test_mode MODE ORDER OTHER-ORDER
test_mode() {
	MODE=$1
	new_cache "$2"
	test_bad_place
	remove_cache
	new_cache "$2"
	test_gone
	say "$MODE: the same, with all that is written to in the cache"
	fill
	test_gone cached
	test_bad_place cached
	test_now_and_then "$(status writeback_errors)"
	test_removal "$3"
	remove_cache
	has_writes $DISK tried
}

modprobe dm-flakey
backing linear
echo -n >acked
echo -n >tried
test_mode writethrough ordered fast
test_mode writearound fast ordered
test_mode writeonly ordered fast
say "done: $(wc -l <tried) writes, of which $(wc -l <acked) were acknowledged"
