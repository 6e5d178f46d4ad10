# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# dm-cache with smq, write-back, blocks of 64 KiB. Begins with a cache that holds the
# beginning of the backing device, as promotion takes its time.

CACHES=yes
META_SECTORS=32768
BLOCK=128

mappings() {
	local i blocks=$1
	echo "<superblock uuid=\"\" block_size=\"$BLOCK\" nr_cache_blocks=\"$blocks\"" \
		"policy=\"smq\" hint_width=\"4\"><mappings>"
	for ((i = 0; i < blocks; i++)); do
		echo "<mapping cache_block=\"$i\" origin_block=\"$i\" dirty=\"false\"/>"
	done
	echo "</mappings></superblock>"
}

# line POLICY
line() {
	echo "0 $(blockdev --getsz "$BACKING") cache /dev/mapper/cache-meta \
		/dev/mapper/cache-data $BACKING $BLOCK 1 writeback $1 0"
}

setup() {
	local data_sectors=$(($(blockdev --getsz "$CACHE") - META_SECTORS))
	modprobe -a dm-cache dm-cache-smq
	dmsetup create cache-meta --table "0 $META_SECTORS linear $CACHE 0"
	dmsetup create cache-data --table "0 $data_sectors linear $CACHE $META_SECTORS"
	mappings $((data_sectors / BLOCK)) >/tmp/mappings.xml
	tool cache_restore -i /tmp/mappings.xml -o /dev/mapper/cache-meta >/dev/null
	dmsetup create cache --table "$(line smq)"
	NODE=/dev/mapper/cache
}

change_policy() {
	dmsetup load cache --table "$(line "$1")"
	dmsetup suspend cache
	dmsetup resume cache
}

dirty_blocks() {
	local words
	read -ra words < <(dmsetup status cache)
	# Start, length, target, metadata 2, cache 2, hits and misses 4, demotions, promotions.
	echo "${words[13]}"
}

clean() {
	change_policy cleaner
	until [ "$(dirty_blocks)" = 0 ]; do
		pause 1
	done
	change_policy smq
}

teardown() {
	dmsetup remove cache
	dmsetup remove cache-data
	dmsetup remove cache-meta
}
