# SPDX-License-Identifier: GPL-2.0-or-later
#
# Three times the cache's size in random writes of 512 B to 256 KiB, all read
# back. Then the cache must be idle: from the second second on nothing of it runs
# for 30 seconds.
#
# files: blk numbered
# vm: --pmem-size 512M --disk-size 1G --memory 512M --timeout 300
# variant 1cpu: --cpus 1
# variant 2cpu: --cpus 2
# variant 4cpu: --cpus 4
. ./lib.sh

TRACING=/sys/kernel/tracing
CACHE_MIB=512

# Records each timer, work item and hrtimer that runs.
trace_start() {
	echo 0 >$TRACING/tracing_on
	echo >$TRACING/trace
	echo 4096 >$TRACING/buffer_size_kb
	echo 1 >$TRACING/events/timer/timer_expire_entry/enable
	echo 1 >$TRACING/events/workqueue/workqueue_execute_start/enable
	echo 1 >$TRACING/tracing_on
}

# Those of the module: its functions, and delayed work's timer with its work.
module_events() {
	grep -E '\[dm_pcache\]|pcache' $TRACING/trace || true
}

has_writes() {
	[ "$(status writes)" -ge "$1" ]
}

writes_wait() {
	[ "$(status space_waits)" -gt 0 ]
}

unused_segs() {
	echo $(($(status seg_total) - $(status segs_used)))
}

is_full() {
	[ "$(unused_segs)" -le 4 ]
}

dmsetup create backing --table "0 $(blockdev --getsz $DISK) linear $DISK 0"
BACKING=/dev/mapper/backing create_cache
say "$(nproc) CPUs: $((3 * CACHE_MIB)) MiB of random writes"
./numbered load $DEV 768 $((3 * CACHE_MIB)) 8 >/tmp/load 2>&1 &
load=$!
wait_until 100 has_writes 2000
say "the backing device stands still until writes wait for write-back, then for room"
dmsetup suspend backing
wait_until 100 writes_wait
sleep 1
at_least "segments that are not used" "$(unused_segs)" 5
message dirty_high_percent 100
wait_until 100 is_full
message dirty_high_percent 80
dmsetup resume backing
wait $load || fail "numbered sectors: $(cat /tmp/load)"
say "status: $(dmsetup status $NAME)"
at_least "writeback_sectors" "$(status writeback_sectors)" $((CACHE_MIB * 2048))
at_least "reclaimed_segments" "$(status reclaimed_segments)" 32
equal "media_errors" "$(status media_errors)" 0
message stats | tr '\n' ' '
before=$(sum $DEV 800)

say "idle: nothing of the module runs for 30 s"
flush_cache
sleep 1
trace_start
sleep 30
echo 0 >$TRACING/tracing_on
at_least "recorded events" "$(grep -cE 'timer_expire_entry|workqueue_execute_start' $TRACING/trace)" 1
events=$(module_events)
[ -z "$events" ] || fail "these ran: $(echo "$events" | head)"
say "the tracepoints do see what a write starts"
echo >$TRACING/trace
echo 1 >$TRACING/tracing_on
dd if=/dev/zero of=$DEV bs=4k count=1 seek=250000 oflag=direct status=none
sleep 1
echo 0 >$TRACING/tracing_on
at_least "events of the module" "$(module_events | wc -l)" 2

flush_cache
remove_cache
equal "the backing device" "$(sum $DISK 800)" "$before"
