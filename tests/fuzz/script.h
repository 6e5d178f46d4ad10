/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the fuzzer of scripts reads: a header, and operations of four bytes. */
#ifndef FUZZ_SCRIPT_H
#define FUZZ_SCRIPT_H

#include <linux/types.h>

#define SCRIPT_OPS	250

enum script_kind {
	SCRIPT_WRITE,		/* a: place, b: length, c: bits 0-1 FUA, PREFLUSH */
	SCRIPT_WRITE_MORE,	/* the same: most are writes */
	SCRIPT_READ,
	SCRIPT_FLUSH,
	SCRIPT_WAIT,		/* until all requests have ended */
	SCRIPT_SLEEP,		/* a * 10 ms */
	SCRIPT_MESSAGE,		/* a: which */
	SCRIPT_SUSPEND,		/* and resume; a, bit 0: noflush */
	SCRIPT_ATTACH,		/* detach and attach again; a, bit 0: as if rebooted */
	SCRIPT_CUT,		/* power cut: a + 256 * b points later, 0: now; c: what it leaves */
	SCRIPT_DISK_ERRORS,	/* a: reads, b: writes, c: flushes; of 256 */
	SCRIPT_DISK_BAD,	/* a: first sector, b: how many; c, bit 0: all of it is gone */
	SCRIPT_MEDIA_ERROR,	/* a + 256 * b: line; c, bit 0: among the metadata in front */
	SCRIPT_NO_MEMORY,	/* a: of 256 allocations that fail */
	SCRIPT_HEAL,		/* no more errors of the disk and of memory */
	SCRIPT_KINDS,
};

/* script_head.how */
#define SCRIPT_DATA_CRC		0x01
#define SCRIPT_FAST		0x02
#define SCRIPT_NO_CACHE		0x04	/* of the disk */
#define SCRIPT_LARGE_BLOCKS	0x08	/* of 4 KiB */
#define SCRIPT_LOOK		0x10	/* read-only first, after each power cut */

/**
 * struct script_head - what an input begins with
 * @seed: of all that is random
 * @segs: segments, more than the fewest
 * @sectors: of the window, in units of 16
 * @how: see above
 * @gc_percent: option
 * @tasks: how tasks are switched, how many CPUs there are
 * @jump: how often the clock jumps
 * @latency: of the disk
 */
struct script_head {
	u8 seed;
	u8 segs;
	u8 sectors;
	u8 how;
	u8 gc_percent;
	u8 tasks;
	u8 jump;
	u8 latency;
};

struct script_op {
	u8 kind;
	u8 a, b, c;
};

#endif
