# SPDX-License-Identifier: GPL-2.0-or-later
#
# Cache modes, changed under the load of a file system; with writethrough and
# writearound the backing device alone has what was acknowledged, and the cache may
# be lost. What each mode counts; the message stats, tracepoints, what IMA measures.
#
# vm: --pmem-size 512M --disk-size 64M --append ima_policy=critical_data --timeout 300
# files: blk
. ./lib.sh

TRACING=/sys/kernel/tracing
REFERENCE=/tmp/reference
MIB=8	# of the device are for random writes, the rest for all else
SEED=1
ROUNDS=$(work 2 1)

# random_writes COUNT: one at a time, to the device and to the reference.
random_writes() {
	./blk write $DEV $REFERENCE $MIB "$1" 128 $((SEED++))
}

# put KIB COUNT [AT [dsync]]: so many writes of KIB, one behind the other, from the
# AT-th on.
put() {
	dd if=/dev/urandom of=$DEV bs="$1k" count="$2" seek="${3-0}" oflag="direct${4+,$4}" \
		status=none
}

# get KIB COUNT [AT]: the same, read.
get() {
	dd if=$DEV of=/dev/null bs="$1k" count="$2" skip="${3-0}" iflag=direct status=none
}

# FLUSHes that the disk has done.
disk_flushes() {
	awk '{ print $16 }' "/sys/block/${DISK#/dev/}/stat"
}

# in_stats NAME: the number behind it in the message stats.
in_stats() {
	message stats | awk -v name="$1" '$1 == name { print $2 }'
}

# requests OUTCOME...: how many have ended so, as the histograms tell.
requests() {
	message stats | awk -v names=" ${*/#/latency_} " 'index(names, " " $1 " ") {
		for (i = 3; i <= NF; i++) sum += $i } END { print sum + 0 }'
}

stat_at_least() {
	[ "$(in_stats "$1")" -ge "$2" ]
}

is_clean() {
	[ "$(status dirty_sectors)" = 0 ]
}

# waits_for_backing COMMAND...: it does not end before the backing device works.
waits_for_backing() {
	local job
	dmsetup suspend backing
	"$@" &
	job=$!
	sleep 1
	kill -0 $job 2>/dev/null || fail "'$*' did not wait for the backing device"
	dmsetup resume backing
	wait $job
}

# does_not_wait COMMAND...: it ends while the backing device stands still.
does_not_wait() {
	dmsetup suspend backing
	"$@"
	dmsetup resume backing
}

# Everything that is acknowledged is on the backing device alone.
backing_has_all() {
	equal "dirty_sectors with $(status cache_mode)" "$(status dirty_sectors)" 0
	same $DISK $REFERENCE $MIB
}

# Fills of what was read earlier are over.
end_fills() {
	dmsetup suspend $NAME
	dmsetup resume $NAME
}

new_mode() {
	message cache_mode "$1"
	equal "cache_mode" "$(status cache_mode)" "$1"
}

#
# Changed under load
#

# While the backing device stands still no write is acknowledged, and what is dirty is
# under way: 16 of fio's writes, and those of the file system.
check_still() {
	local ended
	dmsetup suspend backing
	sleep $(work 1 4)
	ended=$(requests write wait)
	sleep 1
	equal "writes acknowledged without the backing device" "$(requests write wait)" "$ended"
	[ "$(status dirty_sectors)" -le 8192 ] || fail "too much is dirty with $(status cache_mode)"
	dmsetup resume backing
}

# check_frozen ROUND: nothing is written while the file system is frozen.
check_frozen() {
	fsfreeze --freeze /mnt
	equal "dirty_sectors with $(status cache_mode), no load" "$(status dirty_sectors)" 0
	[ "$1" != $ROUNDS ] || same $DEV $DISK
	fsfreeze --unfreeze /mnt
}

test_change_under_load() {
	local round mode
	say "ext4, and the mode changed under load"
	BACKING=/dev/mapper/backing create_cache 4 data_crc true gc_percent 10
	mkfs.ext4 -q $DEV
	mount $DEV /mnt
	start_load --directory=/mnt
	for ((round = 1; round <= ROUNDS; round++)); do
		for mode in writethrough writearound writeonly writeback; do
			new_mode $mode
			load_goes_on $(work 40 20)
			if [[ $mode = write@(through|around) ]]; then
				[ $round != $ROUNDS ] || check_still
				check_frozen $round
			fi
		done
	done
	: >/tmp/stop
	new_mode writearound
	end_load
	umount /mnt
	say "status: $(dmsetup status $NAME)"
	for word in dirty_sectors writeback_errors media_errors crc_errors; do
		equal "$word" "$(status $word)" 0
	done
	same $DEV $DISK
	remove_cache
	fsck.ext4 -fn $DISK >/tmp/fsck 2>&1 || fail "fsck: $(cat /tmp/fsck)"
}

#
# What each mode promises
#

test_writethrough() {
	local flushes
	say "writethrough: what is acknowledged is on the backing device, durably"
	BACKING=/dev/mapper/backing create_cache 6 cache_mode writethrough data_crc false format force
	dd if=$DISK of=$REFERENCE bs=1M count=$MIB status=none
	equal "cache_mode" "$(status cache_mode)" writethrough
	flushes=$(disk_flushes)
	random_writes 20
	backing_has_all
	at_least "FLUSHes for 20 writes" "$(disk_flushes)" $((flushes + 20))
	waits_for_backing random_writes 1
	backing_has_all
	at_least "writes" "$(status writes)" 21
	equal "bypasses" "$(status bypasses)" 0
	say "the cache is formatted: nothing is lost, and it had nothing dirty"
	remove_cache
	BACKING=/dev/mapper/backing create_cache 2 format force
	equal "cached_sectors" "$(status cached_sectors)" 0
	equal "cache_mode" "$(status cache_mode)" writeback
	same $DEV $REFERENCE $MIB
}

test_writearound() {
	local at=$((MIB * 16)) cached flushes
	say "writearound: what is not cached is written past the cache"
	end_fills
	message clear_stats
	new_mode writearound
	cached=$(status cached_sectors)
	flushes=$(disk_flushes)
	put 64 16 $at
	equal "writes" "$(status writes)" 0
	equal "bypasses" "$(status bypasses)" 16
	equal "cached_sectors" "$(status cached_sectors)" "$cached"
	equal "latency_write" "$(requests write)" 16
	at_least "FLUSHes for 16 writes" "$(disk_flushes)" $((flushes + 16))
	waits_for_backing put 64 1 $at
	say "reads fill, and what is cached then is written to the cache as well"
	get 64 16 $at
	wait_until 30 stat_at_least cached_sectors $((cached + 16 * 128))
	put 64 16 $at
	equal "writes" "$(status writes)" 16
	equal "bypasses" "$(status bypasses)" 17
	equal "cached_sectors" "$(status cached_sectors)" $((cached + 16 * 128))
	waits_for_backing put 64 1 $at
	random_writes 20
	backing_has_all
	say "the mode is on the medium; the cache is wiped, and nothing is lost"
	remove_cache
	BACKING=/dev/mapper/backing create_cache
	equal "cache_mode" "$(status cache_mode)" writearound
	random_writes 10
	backing_has_all
	remove_cache
	dd if=/dev/zero of=$PMEM bs=64k count=1 oflag=direct status=none
	BACKING=/dev/mapper/backing create_cache
	equal "cached_sectors" "$(status cached_sectors)" 0
	same $DEV $REFERENCE $MIB
}

test_writeonly() {
	local at=$((MIB * 4 + 16))
	say "writeonly: reads do not fill, writes do not wait"
	end_fills
	new_mode writeonly
	message clear_stats
	get 256 8 $at
	at_least "bypasses" "$(status bypasses)" 8
	equal "fills" "$(status fills)" 0
	does_not_wait put 64 4 $((at * 4))
	equal "writes" "$(status writes)" 4
	get 64 4 $((at * 4))
	at_least "read_hits" "$(status read_hits)" 4
	get 256 8 $at
	equal "fills" "$(status fills)" 0
	say "writeback: they fill"
	new_mode writeback
	get 256 8 $((at + 8))
	wait_until 30 stat_at_least fills 8
}

#
# The message cache_mode
#

test_messages() {
	local mode r
	say "cache_mode nonsense is refused"
	log_mark
	refused message cache_mode nonsense
	logged "cache_mode nonsense is not allowed, expected writeback, writethrough, writearound"
	refused message cache_mode
	equal "cache_mode" "$(status cache_mode)" writeback
	for mode in writethrough writearound; do
		say "$mode waits until all is clean; interrupted, the mode stays"
		log_mark
		dmsetup suspend backing
		put 64 8
		at_least "dirty_sectors" "$(status dirty_sectors)" 1024
		r=0
		timeout -s INT $(work 2 8) dmsetup message $NAME 0 cache_mode $mode >/dev/null 2>&1 || r=$?
		[ $r != 0 ] || fail "cache_mode $mode did not wait"
		logged "dirty sectors are to be written back first"
		equal "cache_mode" "$(status cache_mode)" writeback
		dmsetup resume backing
		waits_for_backing new_mode_of_dirty $mode
		equal "dirty_sectors" "$(status dirty_sectors)" 0
		logged "cache_mode is $mode"
		new_mode writeback
	done
}

new_mode_of_dirty() {
	put 64 8
	new_mode "$1"
}

#
# The message stats
#

STATS_LINES="dirty_sectors cached_sectors read_hits read_partial_hits read_misses writes
	write_overwrites fills bypasses discards flushes space_waits writeback_sectors
	writeback_errors media_errors crc_errors reclaimed_segments second_chances
	dirty_bytes dirty_seconds
	latency_hit latency_miss latency_write latency_wait latency_flush latency_discard
	bad_segments"

test_stats() {
	say "the message stats"
	# shellcheck disable=SC2046,SC2086 # lists of words
	equal "its lines" "$(echo $(message stats | cut -d' ' -f1))" "$(echo $STATS_LINES)"
	equal "words of histograms" "$(message stats | awk '/^latency_/ { print NF }' | sort -u)" 27
	equal "words of others" "$(message stats | awk '!/^latency_/ { print NF }' | sort -u)" 2
	flush_cache
	message clear_stats
	equal "requests after clear_stats" "$(requests hit miss write wait flush)" 0
	put 4 8
	get 4 8
	get 4 4 $((MIB * 256 + 8192))
	sync $DEV
	equal "latency_write" "$(requests write)" 8
	equal "latency_hit" "$(requests hit)" 8
	equal "latency_miss" "$(requests miss)" 4
	at_least "latency_flush" "$(requests flush)" 1
	equal "latency_flush" "$(requests flush)" "$(in_stats flushes)"
	at_least "microseconds of 8 writes" "$(in_stats latency_write)" 8
	say "what is dirty, and for how long"
	wait_until 30 is_clean
	equal "dirty_bytes, dirty_seconds" "$(in_stats dirty_bytes) $(in_stats dirty_seconds)" "0 0"
	dmsetup suspend backing
	put 4 8
	equal "dirty_bytes" "$(in_stats dirty_bytes)" 32768
	wait_until 30 stat_at_least dirty_seconds 1
	dmsetup resume backing
	flush_cache
	equal "dirty_bytes, dirty_seconds" "$(in_stats dirty_bytes) $(in_stats dirty_seconds)" "0 0"
}

#
# Tracepoints
#

traced() {
	grep -qE " $1: [0-9]+:[0-9]+ $2\$" $TRACING/trace
}

# expect_trace EVENT TEXT: a line of the event reads so, behind the device's number.
expect_trace() {
	local i
	for ((i = 0; i < 300; i++)); do
		! traced "$@" || return 0
		sleep 0.1
	done
	fail "no line '$1: ... $2' in the trace: $(grep "$1:" $TRACING/trace | tail)"
}

test_trace() {
	local at=$((MIB * 16 + 300)) first number='[0-9]+' job
	local range="$number \+ $number" ksets="ksets $number to $number"
	say "tracepoints"
	equal "events" "$(grep -c ^dm_pcache: $TRACING/available_events)" 8
	echo >$TRACING/trace
	echo 1 >$TRACING/events/dm_pcache/enable
	echo 1 >$TRACING/tracing_on
	put 4 1 5
	sync $DEV
	put 4 1 6 dsync
	get 4 1 5
	get 4 1 $((MIB * 256 + 9000))
	expect_trace pcache_request_begin "W 40 \+ 8"
	expect_trace pcache_request_begin "R 40 \+ 8"
	expect_trace pcache_request_begin "W\+FUA 48 \+ 8"
	expect_trace pcache_request_begin "F 0 \+ 0"
	expect_trace pcache_request_end "W 40 \+ 8 write error 0 ns $number"
	expect_trace pcache_request_end "R 40 \+ 8 hit error 0 ns $number"
	expect_trace pcache_request_end "R $range miss error 0 ns $number"
	expect_trace pcache_request_end "F 0 \+ 0 flush error 0 ns $number"
	expect_trace pcache_commit "kset $number at $number:$number keys 1"
	expect_trace pcache_writeback_batch \
		"$ksets keys $number sectors written [1-9][0-9]* unreadable 0 unwritten 0 done 1"
	message gc_percent 0
	put 4 1 5
	expect_trace pcache_reclaim "key_tail $number ksets [1-9][0-9]* segments freed $number"
	say "a write waits for another around the cache; one fails"
	new_mode writearound
	first=$((at * 128))
	dmsetup suspend backing
	put 64 1 $at &
	job=$!
	expect_trace pcache_request_begin "W $first \+ 128"
	put 4 1 $((at * 16)) &
	expect_trace pcache_request_wait "W $first \+ 8"
	dmsetup resume backing
	wait $job
	wait $!
	expect_trace pcache_request_end "W $first \+ 8 wait error 0 ns $number"
	at_least "latency_wait" "$(requests wait)" 1
	new_mode writethrough
	backing error
	refused put 4 1 7
	expect_trace pcache_request_end "W 56 \+ 8 write error -5 ns $number"
	expect_trace pcache_failure "backing device failed a (write|FLUSH) $range"
	at_least "dirty_sectors after the error" "$(status dirty_sectors)" 8
	backing linear
	wait_until 60 is_clean
	echo 0 >$TRACING/events/dm_pcache/enable
	echo >$TRACING/trace
	put 4 1 5
	! grep pcache_ $TRACING/trace || fail "the trace goes on after the events were disabled"
}

#
# IMA
#

# What it has measured of Device-Mapper under a name, as text.
measured() {
	local event hex
	while read -r _ _ _ _ event hex; do
		[ "$event" != "$1" ] || printf '%b\n' "$(sed 's/../\\x&/g' <<<"$hex")"
	done </sys/kernel/security/ima/ascii_runtime_measurements
}

test_ima() {
	local text
	say "what IMA measures"
	remove_cache
	create_cache 4 backing_id 'a,b;c=d' writeback_order fast
	mount -t securityfs none /sys/kernel/security
	text="target_name=pcache,target_version=1.0.0,cache_device=$(device_number $PMEM),"
	text+="backing_device=$(device_number $DISK),read_only=n,cache_mode=writethrough,"
	text+="data_crc=false,gc_percent=0,writeback_order=fast,"
	text+="sequential_cutoff_kb=0,eviction=clock,backing_id=a\\,b\\;c\\=d;"
	[[ $(measured dm_table_load) == *"$text"* ]] ||
		fail "not measured: $text; but $(measured dm_table_load | tail -n 2)"
	remove_cache
}

# device_number FILE: of the device it stands for.
device_number() {
	lsblk --nodeps --noheadings --output MAJ:MIN "$1" | tr -d ' '
}

backing linear
test_change_under_load
test_writethrough
test_writearound
test_writeonly
test_messages
test_stats
test_trace
test_ima
say "done"
