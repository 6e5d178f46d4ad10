# SPDX-License-Identifier: GPL-2.0-or-later
#
# Discards and write zeroes, as blkdiscard, fstrim and mount -o discard send them: what is
# dropped, what gets to the backing device (a file in memory, whose blocks tell), and file
# systems that are whole afterwards, through the cache and without.
#
# vm: --memory 1G --pmem-size 512M --disk-size 0 --timeout 300
# files: blk
# variant ext4: --env FS=ext4
# variant xfs: --env FS=xfs
. ./lib.sh

FILE=/tmp/backing/file
MIB=320

# KiB of the backing file that are there.
backing_kib() {
	du -k $FILE | cut -f1
}

# in_queue DEVICE LIMIT
in_queue() {
	cat "/sys/dev/block/$((0x$(stat -Lc %t "$1"))):$((0x$(stat -Lc %T "$1")))/queue/$2"
}

check_fs() {
	if [ $FS = ext4 ]; then
		fsck.ext4 -fn "$1"
	else
		xfs_repair -n "$1"
	fi >/tmp/fsck 2>&1 || fail "$FS on $1: $(tail -n 20 /tmp/fsck)"
}

# put AT COUNT: so many MiB of random data, from the AT-th on.
put() {
	dd if=/dev/urandom of=$DEV bs=1M seek="$1" count="$2" oflag=direct status=none
}

# is_zero FILE AT: is the MiB there zeroes?
is_zero() {
	forget_pages "$1"
	cmp -s -n 1048576 -i "$(($2 * 1048576)):0" "$1" /dev/zero
}

test_limits() {
	say "limits are those of the backing device"
	for limit in discard_granularity discard_max_bytes write_zeroes_max_bytes; do
		at_least $limit "$(in_queue $DEV $limit)" 512
		equal $limit "$(in_queue $DEV $limit)" "$(in_queue "$BACKING" $limit)"
	done
}

test_drop() {
	say "dirty data is dropped"
	dmsetup suspend backing
	put 0 8
	at_least dirty_sectors "$(status dirty_sectors)" $((8 * 2048))
	# Without -f it looks for signatures first, on the device that is suspended.
	blkdiscard -f -o 1M -l 6M $DEV
	at_least discards "$(status discards)" 2
	equal dirty_sectors "$(status dirty_sectors)" $((2 * 2048))
	dmsetup resume backing
	flush_cache
	equal dirty_sectors "$(status dirty_sectors)" 0
	say "write zeroes is a write"
	put 0 8
	blkdiscard -f -z -o 2M -l 2M $DEV
	is_zero $DEV 3 || fail "write zeroes did not"
	! is_zero $DEV 5 || fail "write zeroes zeroed more"
	flush_cache
	is_zero "$BACKING" 3 || fail "the backing device does not have the zeroes"
}

test_pass_down() {
	local kib
	say "what is not cached is passed down: all of the device"
	flush_cache
	dd if=/dev/urandom of="$BACKING" bs=1M seek=64 count=64 oflag=direct status=none
	kib=$(backing_kib)
	blkdiscard -f $DEV
	[ "$(backing_kib)" -le $((kib - 60 * 1024)) ] ||
		fail "of $kib KiB $(backing_kib) are left on the backing device"
	for ((at = 64; at < 128; at += 9)); do
		is_zero $DEV $at || fail "MiB $at is not zeroes"
	done
}

# Files come and go, with discards of what they leave.
fs_load() {
	local i
	for ((i = 0; i < $1; i++)); do
		rm -rf /mnt/m$((i % 5))
		mkdir /mnt/m$((i % 5))
		cp -r /usr/lib/modules /mnt/m$((i % 5))/
		[ $((i % 3)) != 0 ] || sync -f /mnt
		[ $((i % 4)) != 0 ] || fstrim /mnt
	done
	for ((i = 0; i < 5 && i < $1; i++)); do
		diff -r /usr/lib/modules /mnt/m$i/modules || fail "copied files differ"
	done
}

test_fs() {
	local kib run mode options
	for run in writeback:defaults writeback:discard writethrough:defaults \
		writearound:discard writeonly:defaults; do
		mode=${run%:*}
		options=${run#*:}
		say "$FS, $mode, mounted with $options, and fstrim"
		message cache_mode $mode
		mkfs.$FS $([ $FS = xfs ] && echo -f || echo -F) -q $DEV
		mount -o $options $DEV /mnt
		fs_load $([ $mode = writeback ] && work 8 3 || work 6 3)
		rm -rf /mnt/m*
		sync -f /mnt
		flush_cache
		kib=$(backing_kib)
		# What is cached goes when reclaim has come to it.
		message gc_percent 0
		cp -r /usr/lib/modules /mnt/
		sync -f /mnt
		flush_cache
		fstrim /mnt
		# With discard, ext4 takes for trimmed what it has discarded before.
		[ $options = discard ] || [ "$(backing_kib)" -lt "$kib" ] ||
			fail "fstrim gave nothing back: $(backing_kib) KiB"
		message gc_percent 70
		diff -r /usr/lib/modules /mnt/modules || fail "copied files differ"
		umount /mnt
		check_fs $DEV
		flush_cache
		check_fs "$BACKING"
		say "status: $(dmsetup status $NAME)"
	done
	message cache_mode writeback
}

test_without() {
	say "a backing device that takes no discards: the cache drops its own"
	remove_cache
	echo 0 >"/sys/block/$(basename "$LOOP")/queue/discard_max_bytes"
	create_cache
	at_least discard_max_bytes "$(in_queue $DEV discard_max_bytes)" 1
	put 0 4
	flush_cache
	at_least cached_sectors "$(status cached_sectors)" $((4 * 2048))
	blkdiscard -f $DEV
	equal cached_sectors "$(status cached_sectors)" 0
	! is_zero $DEV 1 || fail "it was discarded below all the same"
}

mkdir -p /tmp/backing
mount -t tmpfs -o size=400M tmpfs /tmp/backing
truncate -s ${MIB}M $FILE
modprobe loop
LOOP=$(losetup -f --show $FILE)
DISK=$LOOP
backing linear
BACKING=/dev/mapper/backing
create_cache
test_limits
test_drop
test_pass_down
test_fs
BACKING=$LOOP test_without
say "done"
