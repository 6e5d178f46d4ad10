# SPDX-License-Identifier: GPL-2.0-or-later
#
# Swap on the target, with a cache that is smaller than the swap space and much
# too little memory: it must neither stop nor fail to allocate (vm/run looks for
# the latter in the kernel's log), and what comes back must be what went.
#
# vm: --memory 352M --pmem-size 512M --disk-size 1G --timeout 300
# files: blk
. ./lib.sh

pages() {
	awk -v name="$1" '$1 == name { print $2 }' /proc/vmstat
}

create_cache writeback true
mkswap -q $DEV >/dev/null
swapon $DEV
say "memory: $(awk '/MemAvailable/ { print int($2 / 1024) }' /proc/meminfo) MiB available"
# Much more than that; the second round has to bring the pages back.
size=$(work 400 220)
./blk memory $size 3 2 || fail "memory holds what it should not"
say "status: $(dmsetup status $NAME)"
say "swapped out $(pages pswpout) pages, in $(pages pswpin)"
# What all of the machine's memory can't hold has been out, and has come back.
total=$(awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
beyond=$((size > total ? (size - total) * 256 : 1))
at_least "pages that went out" "$(pages pswpout)" $beyond
at_least "pages that came in" "$(pages pswpin)" $beyond
equal "crc_errors" "$(status crc_errors)" 0
swapoff $DEV
flush_cache
remove_cache
