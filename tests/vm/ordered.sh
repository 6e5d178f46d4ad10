# SPDX-License-Identifier: GPL-2.0-or-later
#
# The promise of writeback_order ordered: throw the cache away at any moment, and
# the backing device alone is a disk that lost power, older but consistent. All
# that write-back sends to the backing device is recorded below it. Many points
# of the record are replayed to a blank disk, each with a random part of what no
# FLUSH had made durable; then the file system on it must be consistent after its
# own journal's recovery, and numbered blocks must show no epoch before its time.
#
# With ORDER=fast in the environment this has to fail: a test of the test.
#
# vm: --memory 1G --pmem-size 512M --disk-size 96M --disk2-size 1500M --timeout 300
# files: numbered replay-log blk
# variant plain: --env CRC=false
# variant crc: --env CRC=true
. ./lib.sh

POINTS=$(work 12 5)
MIB=32	# of the disk is for numbered blocks, the rest for the file system

make_stack() {
	modprobe dm-log-writes
	dmsetup create logged --table "0 $(blockdev --getsz $DISK) log-writes $DISK $DISK2"
	# Few segments before reclaim, so that it takes part.
	BACKING=/dev/mapper/logged create_cache 6 data_crc $CRC gc_percent 10 \
		writeback_order "${ORDER:-ordered}"
	dmsetup create blocks --table "0 $((MIB * 2048)) linear $DEV 0"
	dmsetup create files --table \
		"0 $(($(blockdev --getsz $DISK) - MIB * 2048)) linear $DEV $((MIB * 2048))"
}

# Creates, renames, syncs, removes: keeps the journal busy.
fs_load() {
	local i
	for ((i = 0; i < $1; i++)); do
		mkdir -p /mnt/d$((i % 7))
		cp kernel-log /mnt/d$((i % 7))/f$((i % 31))
		mv /mnt/d$((i % 7))/f$((i % 31)) /mnt/d$((i % 7))/g$((i % 13))
		[ $((i % 5)) != 0 ] || sync -f /mnt
		[ $((i % 11)) != 0 ] || rm -rf /mnt/d$((i % 7))
	done
}

say "load: numbered blocks and ext4, all through the cache"
make_stack
mkfs.ext4 -q /dev/mapper/files
mount /dev/mapper/files /mnt
dmesg >kernel-log
# The file system exists from here on.
sync -f /mnt
flush_cache
dmsetup message logged 0 mark made
first=$(./replay-log count $DISK2)
./numbered epochs /dev/mapper/blocks $MIB $(work 350 80) >history &
fs_load $(work 60 20)
wait $!
umount /mnt
say "status: $(dmsetup status $NAME)"
at_least "reclaimed_segments" "$(status reclaimed_segments)" "$(work 1 0)"
flush_cache
dmsetup remove blocks
dmsetup remove files
remove_cache
dmsetup remove logged
count=$(./replay-log count $DISK2)
say "recorded: $count entries, the file system is there after $first;" \
	"$(wc -l <history) numbered writes"
at_least "recorded entries" "$count" $((first + $(work 300 50)))

# check SCRATCH: a disk, after a power cut.
check() {
	local loop status=0
	./numbered order "$1" $MIB history || fail "numbered blocks"
	loop=$(losetup -f --show -o $((MIB << 20)) "$1")
	e2fsck -E journal_only -y "$loop" >/tmp/fsck 2>&1 || status=$?
	[ $status -le 1 ] || fail "journal recovery: $(cat /tmp/fsck)"
	e2fsck -fn "$loop" >/tmp/fsck 2>&1 || fail "file system: $(cat /tmp/fsck)"
	losetup -d "$loop"
}

modprobe loop
truncate -s "$(blockdev --getsize64 $DISK)" /tmp/base
done=0
for ((i = 1; i <= POINTS; i++)); do
	# Spread over the whole, at random within each part.
	part=$(((count - first) / POINTS))
	point=$((first + (i - 1) * part + (RANDOM * 32768 + RANDOM) % part))
	[ $i != $POINTS ] || point=$count
	cp --sparse=always /tmp/base /tmp/scratch
	seed=$RANDOM
	told=$(./replay-log crash $DISK2 $done $point /tmp/scratch $seed)
	found=$(check /tmp/scratch) || fail "point $point, seed $seed: $told; $found"
	echo "point $point, seed $seed: $told; $found"
	[ $i = $POINTS ] || ./replay-log replay $DISK2 $done $point /tmp/base >/dev/null
	done=$point
done
say "the whole record makes the backing device as it is"
./replay-log replay $DISK2 0 "$count" /tmp/base >/dev/null
same $DISK /tmp/base
