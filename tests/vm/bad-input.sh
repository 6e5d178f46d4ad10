# SPDX-License-Identifier: GPL-2.0-or-later
#
# Bad arguments, devices, sizes and media: each is refused with its message, and
# nothing on the media has changed. vm/run looks for the kernel's complaints.
#
# vm: --pmem-size 544M --disk-size 128M --timeout 300
# files: blk
. ./lib.sh

cases=0
sectors=$(blockdev --getsz $DISK)

# try MESSAGE COMMAND...: the command fails, and the log has the message.
try() {
	local message=$1
	shift
	cases=$((cases + 1))
	log_mark
	refused "$@"
	logged "$message"
	! dmsetup info $NAME >/dev/null 2>&1 || fail "a device is left: $*"
	echo "$cases: $message"
}

# bad_table MESSAGE WORDS...: of the whole table line behind the sectors.
bad_table() {
	try "$1" dmsetup create $NAME --table "0 $sectors pcache ${*:2}"
}

#
# What the table line says
#

say "table lines"
modprobe loop
truncate -s 600M /tmp/file
plain=$(losetup -f --show /tmp/file)
pmem_sectors=$(blockdev --getsz $PMEM)
dmsetup create small --table "0 $((pmem_sectors / 2)) linear $PMEM 0"
dmsetup create shorter --table "0 $((512 * 2048)) linear $PMEM 0"

all_media() {
	sum $PMEM
	sum $DISK
}
blank=$(all_media)

bad_table "Expected <cache_dev> <backing_dev>"
bad_table "Expected <cache_dev> <backing_dev>" $PMEM
bad_table "Cache device cannot be opened" /dev/nothing $DISK
bad_table "Backing device cannot be opened" $PMEM /dev/nothing
bad_table "Cache device and backing device are the same" $PMEM $PMEM
bad_table "Cache device is not a DAX device" "$plain" $DISK
bad_table "Cache device is too small (512 MiB at least)" /dev/mapper/small $DISK
bad_table "Expected a number of words behind the devices" $PMEM $DISK writeback
bad_table "Expected a number of words behind the devices" $PMEM $DISK writeback true more
bad_table "Option cache_mode: write is not allowed, expected writeback, writethrough" \
	$PMEM $DISK write true
bad_table "Option data_crc: yes is not allowed, expected true or false" \
	$PMEM $DISK writeback yes
bad_table "Expected 4 words of options" $PMEM $DISK 4 data_crc true
bad_table "Expected 1 words of options" $PMEM $DISK 1 data_crc
bad_table "Expected 4294967295 words of options" $PMEM $DISK 4294967295 data_crc true
bad_table "Unknown option speed" $PMEM $DISK 2 speed high
bad_table "Unknown option evict" $PMEM $DISK 2 evict clock
bad_table "Option data_crc is given twice" $PMEM $DISK 4 data_crc true data_crc true
bad_table "Option gc_percent: 91 is not allowed, expected 0 to 90" \
	$PMEM $DISK 2 gc_percent 91
bad_table "Option gc_percent: -1 is not allowed" $PMEM $DISK 2 gc_percent -1
bad_table "Option gc_percent: 7x is not allowed" $PMEM $DISK 2 gc_percent 7x
bad_table "Option writeback_order: none is not allowed, expected ordered or fast" \
	$PMEM $DISK 2 writeback_order none
bad_table "Option sequential_cutoff_kb: 1048577 is not allowed, expected 0 to 1048576" \
	$PMEM $DISK 2 sequential_cutoff_kb 1048577
bad_table "Option eviction: lru is not allowed, expected fifo or clock" \
	$PMEM $DISK 2 eviction lru
bad_table "Option format: yes is not allowed, expected auto, never or force" \
	$PMEM $DISK 2 format yes
bad_table "Option backing_id:" $PMEM $DISK 2 backing_id \
	0123456789012345678901234567890123456789012345678901234567890123
bad_table "Cache device is not formatted, and format is never" $PMEM $DISK 2 format never
try "Cache device is not formatted, and the table is read-only" \
	dmsetup create $NAME --readonly --table "0 $sectors pcache $PMEM $DISK"
try "Table is longer than the backing device" \
	dmsetup create $NAME --table "0 $((sectors + 8)) pcache $PMEM $DISK"
equal "the media" "$(all_media)" "$blank"

#
# Devices in use, and of others
#

say "devices"
create_cache 2 backing_id disk-7
second() {
	dmsetup create second --table "0 $sectors pcache $1 $2"
}
cases=$((cases + 4))
log_mark
refused second $PMEM "$plain"
logged "Cache device is in use by a pcache target"
refused second $PMEM $DISK
refused dmsetup load $NAME <<<"0 1024 pcache $PMEM $DISK
1024 1024 pcache $PMEM $DISK"
refused second /dev/mapper/small $DISK
logged "Backing device is in use by a pcache target"
remove_cache
say "two tables, neither of them resumed"
dmsetup create $NAME --notable
dmsetup create second --notable
dmsetup load $NAME --table "0 $sectors pcache $PMEM $DISK"
cases=$((cases + 1))
log_mark
refused dmsetup load second --table "0 $sectors pcache $PMEM $plain"
logged "Cache device is in use by a pcache target"
dmsetup remove second
remove_cache
bad_table "Cache is bound to another backing_id" $PMEM $DISK 2 backing_id disk-8
bad_table "Cache was formatted with data_crc false" $PMEM $DISK writeback true
bad_table "Cache device is smaller than its super-block says" /dev/mapper/shorter $DISK
truncate -s 64M /tmp/short
short=$(losetup -f --show /tmp/short)
try "Backing device is smaller than the one the cache is bound to" \
	dmsetup create $NAME --table "0 1000 pcache $PMEM $short"
losetup -d "$short"

#
# What the medium says. The cache is dirty and cleanly detached: its log is three
# ksets of one, two and one keys, in segment 0; the data is in segment 1.
#

say "media"
dmsetup create backing --table "0 $sectors linear $DISK 0"
BACKING=/dev/mapper/backing create_cache
dmsetup load backing --table "0 $sectors error"
dmsetup suspend --noflush backing
dmsetup resume backing
# So many writes from a block on, quickly: what waits is committed on its own.
put() {
	dd if=/dev/urandom of=$DEV bs=4k count="$2" seek="$1" oflag=direct status=none
}
put 1 1
sync $DEV
put 2 2
sync $DEV
put 4 1
sync $DEV
equal "key_head" "$(status key_head)" 0:$((64 + 104 + 64))
remove_cache
dmsetup remove backing
good=$(all_media)
# All that is touched below is in here.
dd if=$PMEM of=/tmp/good bs=1M count=17 iflag=direct status=none

SUPER=0x1000 EXT=0x1400 INFO=0x2000 KEY_TAIL=0x4000 DIRTY_TAIL=0x4020
SEG=0x5000 KSET=0x8000
SEG_BYTES=$((16 << 20))

edits=() pages=()

# poke OFFSET BYTES VALUE, and seal OFFSET BYTES: how the medium is to be changed.
poke() {
	edits+=(poke $(($1)) "$2" $(($3)))
	pages+=($((($1) / 4096)))
}

seal() {
	edits+=(seal $(($1)) "$2")
}

# Both slots of something: both_poke OFFSET STRIDE SIZE FIELD BYTES VALUE
both_poke() {
	local slot
	for slot in 0 1; do
		poke $(($1 + slot * $2 + $4)) "$5" "$6"
		seal $(($1 + slot * $2)) "$3"
	done
}

both_invalid() {
	poke "$1" 1 0xee
	poke $(($1 + $2)) 1 0xee
}

ext_poke() {
	both_poke $EXT 0x400 256 "$@"
}

info_poke() {
	both_poke $INFO 0x1000 24 "$@"
}

tail_poke() {
	both_poke "$1" 16 16 "${@:2}"
}

edit() {
	./blk edit $PMEM "${edits[@]}"
}

mend() {
	./blk restore $PMEM /tmp/good "${pages[@]}"
	edits=() pages=()
}

# What of the medium a case may concern; at the end all of it is looked at.
medium() {
	if [ "${pages[0]}" -lt 256 ]; then
		./blk sum $PMEM 1
	else
		./blk sum $PMEM 17
	fi
}

# refused_medium MESSAGE...: the attach is; then the medium is mended.
refused_medium() {
	local before message
	cases=$((cases + 1))
	edit
	before=$(medium)
	log_mark
	refused create_cache
	for message; do
		logged "$message"
	done
	equal "the medium" "$(medium)" "$before"
	mend
	echo "$cases: ${*: -1}"
}

# damaged_log OFFSET WHY: read-write is refused; read-only shows what is there,
# which is looked at now and then.
damaged_log() {
	if [ $((cases % 5)) = 0 ]; then
		edit
		CREATE_ARGS=--readonly create_cache
		equal "check" "$(status check)" needs_check
		equal "access" "$(status access)" ro
		remove_cache
		# seal would take CRCs over the edited bytes for granted.
		./blk restore $PMEM /tmp/good "${pages[@]}"
	fi
	refused_medium "Cache log is damaged" "log is damaged at 0:$1: $2"
}

# A foreign signature, or none
poke $SUPER+8 8 0x0123456789abcdef
ext_poke 8 8 0
refused_medium "Cache device has no pcache super-block, and its first 64 KiB are not zero"
poke $SUPER+8 8 0
refused_medium "Cache super-block is damaged, and its extension block says that there is a cache"
poke $SUPER+8 8 0xEF96C596FA5EB065
refused_medium "Cache was made on a big-endian machine"
poke $SUPER+4 4 1
seal $SUPER 24
refused_medium "Cache was made on a big-endian machine"
poke $SUPER+4 4 4
seal $SUPER 24
refused_medium "Cache super-block has flags that this version does not know"
poke $SUPER+16 1 0x20
refused_medium "Cache super-block has a wrong CRC"
poke $SUPER+16 4 30
seal $SUPER 24
refused_medium "Cache super-block: number of segments is out of range"
poke $SUPER+16 4 0xffffffff
seal $SUPER 24
refused_medium "Cache super-block: number of segments is out of range"
poke $SUPER+16 4 34
seal $SUPER 24
refused_medium "Cache device is smaller than its super-block says"
both_invalid $INFO 0x1000
refused_medium "Cache information: both copies are invalid"
info_poke 12 4 34
refused_medium "Cache information: number of segments is out of range"
info_poke 12 4 0
refused_medium "Cache information: number of segments is out of range"
info_poke 16 4 0x1180
refused_medium "Cache information: flags are not allowed"
info_poke 16 4 0x80001182
refused_medium "Cache information: flags are not allowed"
info_poke 16 4 $((100 << 6 | 2))
refused_medium "Cache information: gc_percent is out of range"
info_poke 8 4 33
refused_medium "Cache segment list: an id is out of range"
info_poke 8 4 1
refused_medium "Cache segment list: does not have as many segments as cache_info says"
ext_poke 136 4 1
refused_medium "Cache has incompatible features that this version does not know"
ext_poke 160 8 0
refused_medium "Cache extension block has values that are not allowed"

# The list of segments
seg_info=$((SEG + SEG_BYTES))
both_poke $seg_info 4096 16 12 4 0xfffffff0
refused_medium "Cache segment list: an id is out of range"
both_poke $seg_info 4096 16 12 4 0
refused_medium "Cache segment list: an id is repeated"
both_poke $seg_info 4096 16 12 4 1
refused_medium "Cache segment list: an id is repeated"
both_poke $seg_info 4096 16 8 4 2
refused_medium "Cache segment list: does not have as many segments as cache_info says"
both_poke $seg_info 4096 16 8 4 5
refused_medium "Cache segment information: not a cache segment"
both_invalid $seg_info 4096
refused_medium "Cache segment information: both copies are invalid"
both_invalid $((seg_info + 8192)) 16
refused_medium "Cache segment generation: both copies are invalid"

# The tails
ext_poke 144 4 1
both_invalid $KEY_TAIL 16
refused_medium "Cache key_tail: both copies are invalid"
ext_poke 144 4 1
both_invalid $DIRTY_TAIL 16
refused_medium "Cache dirty_tail: both copies are invalid"
tail_poke $KEY_TAIL 8 4 33
refused_medium "Cache key_tail: both copies are invalid, or its place is not allowed"
tail_poke $KEY_TAIL 12 4 12
refused_medium "Cache key_tail: both copies are invalid, or its place is not allowed"
tail_poke $KEY_TAIL 12 4 $((SEG_BYTES - 12288))
refused_medium "Cache key_tail: both copies are invalid, or its place is not allowed"
tail_poke $DIRTY_TAIL 12 4 $((SEG_BYTES - 12288 + 8))
refused_medium "Cache dirty_tail: both copies are invalid, or its place is not allowed"
tail_poke $DIRTY_TAIL 12 4 72
refused_medium "Cache dirty_tail: does not stand at a kset of the log"
ext_poke 144 4 1
tail_poke $KEY_TAIL 12 4 64
refused_medium "Cache dirty_tail: does not stand at a kset of the log"
tail_poke $KEY_TAIL 8 4 5
refused_medium "Cache log is damaged" "log is damaged at 5:0: "

# Ksets: one key at 0:0, two at 0:64, one at 0:168
second=$((KSET + 64))
poke $second+8 8 0x1122334455667788
damaged_log 64 "it ends before the head of the last detach"
poke $((second + 30)) 1 0xff
damaged_log 64 "it ends before the head of the last detach"
ext_poke 144 4 1
poke $((second + 30)) 1 0xff
damaged_log 64 "a kset is invalid and later ones are not"
ext_poke 144 4 1
poke $((KSET + 30)) 1 0xff
damaged_log 0 "a kset is invalid and later ones are not"

# kset_poke FIELD BYTES VALUE: in the second one, with a right CRC.
kset_poke() {
	poke $((second + $1)) "$2" "$3"
	seal $second 104
}

kset_poke 4 4 129
damaged_log 64 "it ends before the head of the last detach"
kset_poke 4 4 0
seal $second 24
damaged_log 64 "a kset says what is not allowed"
# Unknown flag; the number stays.
poke $((second + 16)) 1 4
seal $second 104
damaged_log 64 "a kset says what is not allowed"

# last_to SEGMENT: a LAST instead of the second kset.
last_to() {
	poke $((second + 4)) 4 "$1"
	poke $((second + 16)) 1 1
	seal $second 24
}

last_to 33
damaged_log 64 "a kset says what is not allowed"
last_to 0
damaged_log 64 "the log leads into a segment that is in use"
last_to 1
damaged_log 64 "the log leads into a segment that is in use"

# bad_key FIELD BYTES VALUE [AND MORE]: in the first of the two keys
bad_key() {
	while [ $# -gt 0 ]; do
		kset_poke $((24 + $1)) "$2" "$3"
		shift 3
	done
	damaged_log 64 "${WHY:-a key has values that are not allowed}"
}

bad_key 0 8 256				# offset: not a sector's
bad_key 0 8 $((sectors * 512))		# offset: behind the device
bad_key 0 8 $((sectors * 512 - 512))	# reaches over its end
bad_key 0 8 0xfffffffffffffe00		# wraps around
bad_key 0 8 $(((4 << 20) - 512))	# in two stretches
bad_key 8 4 0				# length
bad_key 8 4 1000
bad_key 8 4 0xfffffe00
bad_key 12 4 1				# flags
bad_key 12 4 0x100
bad_key 16 4 33				# segment
bad_key 16 4 0xffffffff
bad_key 20 4 100			# place in it
bad_key 20 4 $((SEG_BYTES - 12288))
bad_key 20 4 0xfffffe00
bad_key 24 8 99				# generation
WHY="a key names a segment of the log" bad_key 16 4 0

# Bits that flip anywhere in the log never do worse than a refusal.
for ((i = 0; i < 12; i++)); do
	poke $((KSET + RANDOM % 232)) 1 $((RANDOM % 256))
	edit
	! create_cache 2>/dev/null || remove_cache
	pages+=(1 2 3 4)	# what an attach stores to
	mend
done
equal "the media" "$(all_media)" "$good"
at_least "cases" $cases 30

say "after all this: attach, and all is there"
create_cache
flush_cache
equal "dirty_sectors" "$(status dirty_sectors)" 0
remove_cache
say "$cases cases"
