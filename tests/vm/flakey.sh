# SPDX-License-Identifier: GPL-2.0-or-later
#
# The backing device fails under write load, wholly or now and then, and comes
# back. Nothing is lost, all is written in the end, and status, log and events
# tell of it.
#
# vm: --pmem-size 512M --disk-size 256M --timeout 300
# files: blk
# variant ordered: --env ORDER=ordered
# variant fast: --env ORDER=fast
. ./lib.sh

MIB=$(work 64 16)
SEED=1

writes() {
	./blk write $DEV /tmp/reference $MIB "$1" 256 $((SEED++))
}

event_nr() {
	dmsetup info -c --noheadings -o events $NAME
}

has_errors() {
	[ "$(status writeback_errors)" -gt "$1" ]
}

is_clean() {
	[ "$(status dirty_sectors)" = 0 ]
}

modprobe dm-flakey
backing linear
BACKING=/dev/mapper/backing create_cache 4 data_crc true writeback_order $ORDER
# All of it is in the cache, so that reads never need the backing device.
dd if=$MODULE of=/tmp/piece bs=1M count=2 status=none
for ((i = 0; i < MIB; i += 2)); do
	dd if=/tmp/piece bs=1M seek=$i of=/tmp/reference conv=notrunc status=none
done
truncate -s ${MIB}M /tmp/reference
dd if=/tmp/reference of=$DEV bs=1M oflag=direct status=none
events=$(event_nr)
writes 100

say "the backing device is gone"
log_mark
backing error
writes 150
wait_until 30 has_errors 0
logged "write-back failed; data stays dirty"
at_least "events" "$(event_nr)" $((events + 1))
at_least "dirty_sectors" "$(status dirty_sectors)" 1000
equal "access" "$(status access)" rw
say "status: $(dmsetup status $NAME)"
say "flush waits, and can be interrupted"
status=0
timeout -s INT 3 dmsetup message $NAME 0 flush >/dev/null 2>&1 || status=$?
[ $status != 0 ] || fail "flush succeeded without a backing device"
same $DEV /tmp/reference $MIB
errors=$(status writeback_errors)
wait_until 60 has_errors "$errors"
say "it comes back: what is dirty is written without being asked for"
backing linear
writes 50
wait_until 60 is_clean
logged "write-back works again"
forget_pages $DISK
same $DEV /tmp/reference $MIB
at_least "events" "$(event_nr)" $((events + 2))

say "a flush that began while it fails ends when it works"
backing error
writes 20
flush_cache &
flush=$!
sleep 1
kill -0 $flush || fail "flush ended while the backing device fails"
backing linear
wait $flush
equal "dirty_sectors" "$(status dirty_sectors)" 0

say "it fails now and then"
errors=$(status writeback_errors)
backing flakey 1 1 1 error_writes
end=$((SECONDS + 6))
while [ $SECONDS -lt $end ]; do
	writes 20
done
wait_until 30 has_errors "$errors"
say "status: $(dmsetup status $NAME)"
say "removal while it fails keeps all"
backing error
writes 50
before=$(status dirty_sectors)
log_mark
remove_cache
logged "dirty sectors in the cache"
backing linear
BACKING=/dev/mapper/backing create_cache
at_least "dirty sectors before" "$before" 100
same $DEV /tmp/reference $MIB
flush_cache
say "status: $(dmsetup status $NAME)"
remove_cache
dmsetup remove backing
same $DISK /tmp/reference $MIB
