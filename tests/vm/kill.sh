# SPDX-License-Identifier: GPL-2.0-or-later
#
# The part of kill-test that runs in the machine: attaches, checks what the last
# kill left, and writes until the next one. LAST=yes: only checks.
#
# vm: --pmem-size 512M --disk-size 256M --timeout 120
# files: numbered
# variant plain: --env CRC=false
# variant crc: --env CRC=true
. ./lib.sh
MIB=64

create_cache 4 data_crc $CRC gc_percent 10
echo "status: $(dmsetup status $NAME)"
[ "$(status check)" = - ] || fail "the cache needs a check"
./numbered verify $DEV $MIB acks || fail "numbered blocks"
if [ "${LAST-}" = yes ]; then
	flush_cache
	remove_cache
	./numbered verify $DISK $MIB acks >/dev/null || fail "numbered blocks on the backing device"
	exit
fi
echo "LOADING"
./numbered write $DEV $MIB $SEQ 60
