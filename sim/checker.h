/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Judges an image of a cache device by the rules of the on-media format alone.
 *
 * It shares nothing with the engine but kernel/format.h, keeps its own memory
 * between runs (so one run at a time), and is quick enough for every power cut.
 */
#ifndef SIM_CHECKER_H
#define SIM_CHECKER_H

#include <linux/types.h>

/**
 * struct checker_image - a cache device to be judged
 * @media: its bytes, aligned to 8
 * @bytes: how many
 * @backing_sectors: size of the backing device
 * @readable: can these bytes be read? false: there is a media error among them;
 *	NULL: everything can be read
 * @data: for @readable
 */
struct checker_image {
	const u8 *media;
	u64 bytes;
	u64 backing_sectors;
	bool (*readable)(const void *data, u64 off, u64 bytes);
	const void *data;
};

/**
 * enum checker_state - what is known of the moment; each demands more than the one before
 * @CHECKER_CRASHED: a power cut at any moment, also during a format
 * @CHECKER_ATTACHED: a read-write attach has just finished, nothing was logged since
 * @CHECKER_RUNNING: attached, all fenced, the log flushed, nothing under way
 * @CHECKER_DETACHED: cleanly detached
 */
enum checker_state {
	CHECKER_CRASHED,
	CHECKER_ATTACHED,
	CHECKER_RUNNING,
	CHECKER_DETACHED,
};

/**
 * struct checker_place - where the newest content of a sector is
 * @off: on the cache device; 0: not in the cache, the backing device has it
 * @dirty: the backing device may not have it
 * @bad: it cannot be read, or the CRC of its key's data is wrong
 */
struct checker_place {
	u64 off;
	bool dirty;
	bool bad;
};

/**
 * struct checker - one run: what is asked, what was found
 *
 * In:
 * @first_sector: of the window of sectors that the caller asks for
 * @nr_sectors: how many; may be 0
 * @places: of them, filled by the run
 * @mainline_left: Linux's own was here before, so keys of an old generation may stand
 *	also in a log without ksets of its own
 *
 * Out:
 * @formatted: there is a whole super-block and cache information
 * @unfinished: a format was cut short: it is begun again
 * @damaged: a read-write attach must be refused; also set, without a broken rule, where the
 *	format of a device with an older cache was cut short before that was wiped
 * @growing: a resize was cut short, and goes on at the next attach; until then Linux's own
 *	may refuse it
 * @data_crc: keys have CRCs
 * @n_segs: segments of the cache
 * @hash: of what recovery reads, without what is random and what is payload
 * @nr_ksets: in the log, LAST ones included
 * @nr_keys: in the log, without stale ones
 * @nr_stale_keys: in the log
 * @nr_dirty_keys: at and behind dirty_tail, without CLEAN
 * @segs_log: segments that the log is in
 * @segs_data: segments that keys in the log name
 * @key_tail: logical id and offset: where the walk began
 * @dirty_tail: from where on keys are dirty
 * @end: where the log ends
 * @error: the first rule that is broken, and the place; also what made it @damaged
 */
struct checker {
	u64 first_sector;
	u32 nr_sectors;
	struct checker_place *places;
	bool mainline_left;

	bool formatted;
	bool unfinished;
	bool damaged;
	bool growing;
	bool data_crc;
	u32 n_segs;
	u64 hash;
	u32 nr_ksets;
	u32 nr_keys;
	u32 nr_stale_keys;
	u32 nr_dirty_keys;
	u32 segs_log;
	u32 segs_data;
	u32 key_tail[2];
	u32 dirty_tail[2];
	u32 end[2];
	char error[200];
};

/**
 * checker_run() - Judge an image.
 * @img: the image
 * @state: what is known of the moment
 * @c: what is asked and found
 *
 * An image without any cache on it is right in CHECKER_CRASHED. Damage that a media
 * error makes is no broken rule: then @c->damaged and @c->error alone say it.
 *
 * Return: false: a rule that must hold in @state is broken; @c->error names it.
 */
bool checker_run(const struct checker_image *img, enum checker_state state, struct checker *c);

#endif
