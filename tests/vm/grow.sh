# SPDX-License-Identifier: GPL-2.0-or-later
#
# A file system whose backing device and cache device both grow under load: the first is
# taken by a table that is loaded, the second by the message resize. Then the file system
# is grown, still under load, and what is new of both is used.
#
# vm: --pmem-size 768M --disk-size 448M --timeout 300
# files: blk numbered
# variant ext4: --env FS=ext4 --env "ORDER=backing cache"
# variant xfs: --env FS=xfs --env "ORDER=cache backing"
. ./lib.sh

# Segments of 16 MiB and what stands before them.
OLD_SEGS=32
NEW_SEGS=40
OLD_MIB=320	# of the disk
BIG_MIB=330	# of a file
CACHE=/dev/mapper/cache
BACKING=/dev/mapper/back

# sectors_of SEGMENTS
sectors_of() {
	echo $(((20480 + $1 * 16 * 1048576) / 512))
}

check_fs() {
	if [ $FS = ext4 ]; then
		fsck.ext4 -fn "$1"
	else
		xfs_repair -n "$1"
	fi >/tmp/fsck 2>&1 || fail "$FS on $1: $(tail -n 20 /tmp/fsck)"
}

# MiB that the file system has.
fs_mib() {
	df --block-size=1M --output=size /mnt | tail -n 1
}

uses_new_segs() {
	[ "$(status segs_used)" -gt $OLD_SEGS ]
}

grow_fs() {
	if [ $FS = ext4 ]; then
		resize2fs $DEV
	else
		xfs_growfs /mnt
	fi >/tmp/grow 2>&1 || fail "$FS: $(tail -n 20 /tmp/grow)"
}

grow_backing() {
	local before
	say "the backing device grows, and the file system"
	before=$(fs_mib)
	refused fallocate -l ${BIG_MIB}M /mnt/big
	rm -f /mnt/big
	long back $DISK "$(blockdev --getsz $DISK)"
	load_goes_on 10
	equal "length" "$(blockdev --getsz $DEV)" $((OLD_MIB * 2048))
	dmsetup load $NAME --table "0 $(blockdev --getsz $BACKING) pcache $CACHE $BACKING"
	dmsetup resume $NAME
	equal "length" "$(blockdev --getsz $DEV)" "$(blockdev --getsz $DISK)"
	load_goes_on 10
	grow_fs
	load_goes_on 10
	at_least "size of the file system" "$(fs_mib)" $((before + 100))
	fallocate -l ${BIG_MIB}M /mnt/big
}

grow_cache() {
	say "the cache device grows"
	equal "cache_segs" "$(status cache_segs)" $OLD_SEGS
	long cache $PMEM "$(sectors_of $NEW_SEGS)"
	load_goes_on 10
	message resize
	equal "cache_segs" "$(status cache_segs)" $NEW_SEGS
	equal "seg_total" "$(status seg_total)" $NEW_SEGS
	load_goes_on 10
}

# More than the old cache took, and than the old file system.
use_it() {
	local tries
	say "what is new is used"
	for ((tries = 0; tries < 4; tries++)); do
		./numbered load /mnt/big $BIG_MIB 320 4 || fail "numbered sectors"
		! uses_new_segs || break
	done
	uses_new_segs || fail "$(status segs_used) segments are used, expected more than $OLD_SEGS"
	load_goes_on 10
}

long cache $PMEM "$(sectors_of $OLD_SEGS)"
long back $DISK $((OLD_MIB * 2048))
say "mkfs.$FS"
create_cache 2 gc_percent 90
mkfs.$FS -q $DEV
mount $DEV /mnt
cp -r /usr/lib/modules /mnt/
start_load --directory=/mnt --verify_backlog=16
load_goes_on 10
for device in $ORDER; do
	grow_$device
done
use_it
end_load
diff -r /usr/lib/modules /mnt/modules || fail "copied files differ"
umount /mnt
say "status: $(dmsetup status $NAME)"
check_fs $DEV
for word in writeback_errors media_errors crc_errors; do
	equal "$word" "$(status $word)" 0
done

say "attached again, and without the cache"
before=$(sum $DEV)
remove_cache
log_mark
long back $DISK $((OLD_MIB * 2048))
refused create_cache
logged "Backing device is smaller than the one the cache is bound to"
long back $DISK "$(blockdev --getsz $DISK)"
create_cache
equal "cache_segs" "$(status cache_segs)" $NEW_SEGS
equal "what is read" "$(sum $DEV)" "$before"
flush_cache
remove_cache
equal "the backing device" "$(sum $DISK)" "$before"
check_fs $DISK
