# SPDX-License-Identifier: GPL-2.0-or-later
#
# File systems on the target: stress, fio with verify, fsck. Then the cache is
# flushed (but in writethrough and writearound, where nothing may be dirty) and removed,
# and the backing device must hold what was read through the target. A variant goes
# through the other cache modes, with what the last one has left in the cache.
#
# vm: --pmem-size 512M --disk-size 512M --timeout 300
# files: blk
# variant ext4: --env FS=ext4 --env CRC=false --env MODES=writeback
# variant ext4-crc: --env FS=ext4 --env CRC=true --env MODES=writeback
# variant ext4-modes: --env FS=ext4 --env CRC=true --env "MODES=writethrough writearound writeonly" --disk-size 320M
# variant xfs: --env FS=xfs --env CRC=false --env MODES=writeback
# variant xfs-crc: --env FS=xfs --env CRC=true --env MODES=writeback
# variant xfs-modes: --env FS=xfs --env CRC=false --env "MODES=writethrough writearound writeonly" --disk-size 320M
. ./lib.sh

check_fs() {
	if [ $FS = ext4 ]; then
		fsck.ext4 -fn "$1"
	else
		xfs_repair -n "$1"
	fi >/tmp/fsck 2>&1 || fail "$FS on $1: $(tail -n 20 /tmp/fsck)"
}

make_fs() {
	say "mkfs.$FS, $1, data_crc $CRC"
	if [ $FS = ext4 ]; then
		mkfs.ext4 -qF $DEV
	else
		mkfs.xfs -qf $DEV
	fi
	mount $DEV /mnt
}

# In each mode fio has another kind of sum: it takes what it wrote in an earlier one for good.
declare -A SUMS=([writeback]=crc32c [writethrough]=crc32 [writearound]=xxhash [writeonly]=crc64)

# fs_load MODE
fs_load() {
	cp -r /usr/lib/modules /mnt/
	say "stress-ng"
	stress-ng --quiet --temp-path /mnt --timeout $STRESS_SECONDS --verify \
		--hdd 1 --hdd-bytes 16M --rename 1 --seek 1 --seek-size 8M --fallocate 1 \
		--fallocate-bytes 8M --dentry 1 --dentries 64 >/tmp/stress 2>&1 ||
		fail "stress-ng: $(tail /tmp/stress)"
	say "fio with verify"
	fio --name=verify --directory=/mnt --size=$FIO_SIZE --rw=randwrite --bsrange=512-128k \
		--blockalign=512 --direct=1 --ioengine=libaio --iodepth=8 --numjobs=2 \
		--verify=${SUMS[$1]} --verify_fatal=1 --fsync=64 --randseed=7 --group_reporting \
		--output=/tmp/fio || fail "fio: $(tail -n 30 /tmp/fio)"
	diff -r /usr/lib/modules /mnt/modules || fail "copied files differ"
}

# What the mode promises and the counters can tell.
check_mode() {
	equal "cache_mode" "$(status cache_mode)" "$1"
	case $1 in
	writethrough)
		equal "dirty_sectors" "$(status dirty_sectors)" 0
		;;
	writearound)
		equal "dirty_sectors" "$(status dirty_sectors)" 0
		at_least "bypasses" "$(status bypasses)" 1
		;;
	writeonly)
		equal "fills" "$(status fills)" 0
		;;
	esac
}

test_mode() {
	local before word
	create_cache 4 cache_mode "$1" data_crc $CRC
	make_fs "$1"
	fs_load "$1"
	umount /mnt
	check_mode "$1"
	say "fsck"
	check_fs $DEV
	before=$(sum $DEV)
	[[ $1 = write@(through|around) ]] || flush_cache
	equal "dirty_sectors" "$(status dirty_sectors)" 0
	equal "what is read now" "$(sum $DEV)" "$before"
	for word in writeback_errors media_errors crc_errors; do
		equal "$word" "$(status $word)" 0
	done
	check_mode "$1"
	say "status: $(dmsetup status $NAME)"
	remove_cache
	say "the backing device alone"
	equal "the backing device" "$(sum $DISK)" "$before"
	check_fs $DISK
}

# Where there are several modes, each gets less.
if [ "$MODES" = writeback ]; then
	STRESS_SECONDS=5
	FIO_SIZE=$(work 24M 6M)
else
	STRESS_SECONDS=2
	FIO_SIZE=$(work 12M 4M)
fi
for mode in $MODES; do
	test_mode "$mode"
done
