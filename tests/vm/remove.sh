# SPDX-License-Identifier: GPL-2.0-or-later
#
# The target is removed and the module unloaded, 50 times: under load by force,
# right after it, and with a removal that waits for the load's end.
#
# vm: --pmem-size 512M --disk-size 256M --timeout 300
# files: numbered
. ./lib.sh

TIMES=$(work 50 12)
MIB=64
seq=1

is_gone() {
	! dmsetup info $NAME >/dev/null 2>&1
}

has_writers() {
	[ "$(dmsetup info -c --noheadings -o open $NAME)" -gt 0 ]
}

reload_module() {
	local tries=0
	# Writers that were killed may hold the device for a moment.
	until rmmod dm_pcache 2>/tmp/rmmod; do
		[ $((tries++)) -lt 100 ] || fail "rmmod: $(cat /tmp/rmmod)"
		sleep 0.05
	done
	insmod "$MODULE"
}

echo -n >acks
for ((i = 1; i <= TIMES; i++)); do
	create_cache 4 gc_percent 10 writeback_order \
		$( ((i % 2)) && echo fast || echo ordered)
	if [ $((i % $(work 10 4))) = 0 ]; then
		./numbered verify $DEV $MIB acks >found || fail "$(cat found)"
		grep verified found
	fi
	./numbered write $DEV $MIB $seq "$(work 20 300)" >new-acks 2>/dev/null &
	load=$!
	wait_until 20 has_writers
	seq=$((seq + 100000))
	sleep 0.$((RANDOM % 3 + 1))
	refused dmsetup remove $NAME
	refused rmmod dm_pcache
	case $((i % 3)) in
	0)	# What is in flight ends; what comes then gets errors.
		dmsetup remove --force $NAME 2>/dev/null || true
		wait $load || true
		is_gone || dmsetup remove $NAME
		;;
	1)
		dmsetup remove --deferred $NAME
		pkill -P $load
		wait $load || true
		wait_until 20 is_gone
		;;
	2)
		pkill -P $load
		wait $load || true
		dmsetup remove --retry $NAME
		;;
	esac
	reload_module
	# The last line may be cut short.
	grep -E '^A [0-9]+ [0-9]+ [0-9]+$' new-acks >>acks || true
done
create_cache
./numbered verify $DEV $MIB acks >found || fail "$(cat found)"
say "$TIMES times; $(grep verified found)"
say "status: $(dmsetup status $NAME)"
flush_cache
remove_cache
./numbered verify $DISK $MIB acks >found || fail "$(cat found)"
