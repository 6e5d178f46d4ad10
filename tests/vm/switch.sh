# SPDX-License-Identifier: GPL-2.0-or-later
#
# Cache mode and options changed 100 times, by message and by a table that is loaded in
# turn, under a load that verifies what it reads: from each mode to each other one, both
# ways, with reclaim going on. Nothing is lost.
#
# vm: --pmem-size 512M --disk-size 64M --timeout 300
# files: blk
. ./lib.sh

CHANGES=$(work 100 32)
MODES=(writeback writethrough writearound writeonly)
PERCENTS=(10 12 15 8 20)
CUTOFFS=(0 64 1024)
ORDERS=(ordered fast)
EVICTIONS=(clock fifo)
# A table without them sets the defaults again.
DELAYS=(0 3000 200)
PERCENTS_DIRTY=(50 1 5 80)
PACES=("" "writeback_delay_ms 3000" "writeback_delay_ms 300 dirty_low_percent 1"
	"writeback_delay_ms 3000 dirty_high_percent 1")

# line WORDS: the table with these options.
line() {
	echo "0 $(blockdev --getsz $DISK) pcache $PMEM $DISK $# $*"
}

mode_is() {
	[ "$(status cache_mode)" = "$1" ]
}

# The mode each time, the others in turn.
by_message() {
	local mode=${MODES[$1 % 4]}
	message cache_mode "$mode"
	equal "cache_mode" "$(status cache_mode)" "$mode"
	case $(($1 % 6)) in
	0) message gc_percent "${PERCENTS[$1 % 5]}" ;;
	1) message eviction "${EVICTIONS[$1 / 6 % 2]}" ;;
	2) message sequential_cutoff_kb "${CUTOFFS[$1 / 6 % 3]}" ;;
	3) message writeback_delay_ms "${DELAYS[$1 / 6 % 3]}" ;;
	4) message dirty_low_percent "${PERCENTS_DIRTY[$1 / 6 % 4]}" ;;
	5) message dirty_high_percent "${PERCENTS_DIRTY[$1 / 6 % 4]}" ;;
	esac
}

# All at once. Now and then after another table, which is dropped, or a suspend that did not
# wait; every second time it is seen that the mode comes to hold, else the next change may
# come before.
by_table() {
	local mode=${MODES[$1 / 4 % 4]} words
	words="cache_mode $mode data_crc true gc_percent ${PERCENTS[$1 / 2 % 5]}"
	words+=" writeback_order ${ORDERS[$1 / 3 % 2]}"
	words+=" sequential_cutoff_kb ${CUTOFFS[$1 / 5 % 3]} eviction ${EVICTIONS[$1 % 2]}"
	words+=${PACES[$1 / 2 % 4]:+ ${PACES[$1 / 2 % 4]}}
	if [ $(($1 % 5)) = 4 ]; then
		dmsetup load $NAME --table "$(line gc_percent 33 eviction fifo)"
		dmsetup clear $NAME
	fi
	# shellcheck disable=SC2086 # a list of words
	dmsetup load $NAME --table "$(line $words)"
	[ $(($1 % 7)) != 6 ] || dmsetup suspend --noflush $NAME
	dmsetup resume $NAME
	equal "table" "$(dmsetup table $NAME | cut -d' ' -f7-)" "$words"
	[ $(($1 % 2)) = 0 ] || wait_until 60 mode_is "$mode"
}

create_cache 4 data_crc true gc_percent 10
# It pauses between bursts, or the switches would have to wait for the processor.
start_load --filename=$DEV --size=4M --offset_increment=4M --verify_backlog=16 --thinktime=20ms \
	--thinktime_blocks=8
load_goes_on 1
say "$CHANGES changes"
for ((round = 0; round < CHANGES / 2; round++)); do
	by_message $round
	load_goes_on 4
	by_table $round
	load_goes_on 4
	[ $((round % 10)) != 0 ] || say "round $round: $(dmsetup status $NAME)"
done
end_load
say "status: $(dmsetup status $NAME)"
flush_cache
for word in dirty_sectors writeback_errors media_errors crc_errors; do
	equal "$word" "$(status $word)" 0
done
same $DEV $DISK
say "attached again"
remove_cache
create_cache
same $DEV $DISK
remove_cache
