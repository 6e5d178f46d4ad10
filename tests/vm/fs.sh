# SPDX-License-Identifier: GPL-2.0-or-later
#
# File systems on the target: stress, fio with verify, fsck. Then the cache is
# flushed and removed, and the backing device must hold what was read through
# the target.
#
# vm: --pmem-size 512M --disk-size 512M --timeout 300
# files: blk
# variant ext4: --env FS=ext4 --env CRC=false
# variant ext4-crc: --env FS=ext4 --env CRC=true
# variant xfs: --env FS=xfs --env CRC=false
# variant xfs-crc: --env FS=xfs --env CRC=true
. ./lib.sh

check_fs() {
	if [ $FS = ext4 ]; then
		fsck.ext4 -fn "$1"
	else
		xfs_repair -n "$1"
	fi >/tmp/fsck 2>&1 || fail "$FS on $1: $(tail -n 20 /tmp/fsck)"
}

create_cache writeback $CRC
say "mkfs.$FS, data_crc $CRC"
if [ $FS = ext4 ]; then
	mkfs.ext4 -q $DEV
else
	mkfs.xfs -q $DEV
fi
mount $DEV /mnt
cp -r /usr/lib/modules /mnt/

say "stress-ng"
stress-ng --quiet --temp-path /mnt --timeout 5 --verify \
	--hdd 1 --hdd-bytes 16M --rename 1 --seek 1 --seek-size 8M --fallocate 1 \
	--fallocate-bytes 8M --dentry 1 --dentries 64 >/tmp/stress 2>&1 || fail "stress-ng: $(tail /tmp/stress)"

say "fio with verify"
fio --name=verify --directory=/mnt --size=$(work 24M 6M) --rw=randwrite --bsrange=512-128k \
	--blockalign=512 --direct=1 --ioengine=libaio --iodepth=8 --numjobs=2 \
	--verify=crc32c --verify_fatal=1 --fsync=64 --randseed=7 --group_reporting \
	--output=/tmp/fio || fail "fio: $(tail -n 30 /tmp/fio)"
diff -r /usr/lib/modules /mnt/modules || fail "copied files differ"
umount /mnt

say "fsck"
check_fs $DEV
before=$(sum $DEV)
flush_cache
equal "dirty_sectors after flush" "$(status dirty_sectors)" 0
equal "crc_errors" "$(status crc_errors)" 0
equal "what is read after flush" "$(sum $DEV)" "$before"
say "status: $(dmsetup status $NAME)"
remove_cache

say "the backing device alone"
equal "the backing device" "$(sum $DISK)" "$before"
check_fs $DISK
