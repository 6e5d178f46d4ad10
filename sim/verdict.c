// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is to be said of a medium and a disk that nobody uses at the moment: whether
 * the format's rules hold, what must be read, whether the disk alone is consistent, and
 * whether Linux's own dm-pcache, attaching it, would lose anything.
 */
#include <stdio.h>
#include <string.h>

#include <linux/blkdev.h>
#include <linux/kernel.h>

#include "disk-model.h"
#include "mainline.h"
#include "oracle.h"
#include "pmem-model.h"
#include "session.h"
#include "verdict.h"

static struct checker_place places[DISK_MAX_SECTORS];
static u8 expected[DISK_MAX_SECTORS << SECTOR_SHIFT];
static bool known[DISK_MAX_SECTORS];
static u8 mainline_disk[DISK_MAX_SECTORS << SECTOR_SHIFT];
static struct mainline mainline;
static char error[600];

static const char *say(const char *what, const char *why)
{
	snprintf(error, sizeof(error), "%s: %s", what, why);
	return error;
}

/* What must be read: from the medium by the checker's walk, else from the disk. */
static void expect(const struct sim_params *p, const struct checker *c)
{
	u64 first = session_first_sector(p);
	bool cache = c->formatted && !c->unfinished;

	for (u32 i = 0; i < p->sectors; i++) {
		const struct checker_place *place = &places[i];
		const u8 *from = cache && place->off ? pmem_model_durable() + place->off :
						       disk_model_durable(first + i);

		known[i] = !(cache && place->bad) && !c->damaged;
		memcpy(expected + (i << SECTOR_SHIFT), from, SECTOR_SIZE);
	}
}

/*
 * What was discarded while it was dirty may count as clean without ever having been written
 * back. What was filled may not: zeroes that nobody wrote.
 */
static bool was_left_out(u64 sector, const u8 *is)
{
	static const u8 zeroes[SECTOR_SIZE];

	return oracle_is_undefined(sector) &&
	       (memcmp(is, zeroes, SECTOR_SIZE) || oracle_was_zeroed(sector));
}

/* What counts as clean, the disk holds durably. */
static const char *clean_is_on_disk(const struct sim_params *p)
{
	u64 first = session_first_sector(p);

	for (u32 i = 0; i < p->sectors; i++) {
		const struct checker_place *place = &places[i];

		if (!known[i] || !place->off || place->dirty)
			continue;
		if (memcmp(pmem_model_durable() + place->off, disk_model_durable(first + i),
			   SECTOR_SIZE) &&
		    !was_left_out(first + i, pmem_model_durable() + place->off)) {
			snprintf(error, sizeof(error), "sector %llu is clean in the cache, but not on the backing device",
				 (unsigned long long)first + i);
			return error;
		}
	}
	return NULL;
}

/* What may have been left out is read from the cache until reclaim comes to it, then not. */
static void doubt_what_was_left_out(const struct sim_params *p)
{
	u64 first = session_first_sector(p);

	for (u32 i = 0; i < p->sectors; i++)
		if (places[i].off && !places[i].dirty &&
		    was_left_out(first + i, expected + (i << SECTOR_SHIFT)))
			known[i] = false;
}

/* What nobody has ever written is in the cache by a fill only. */
static const char *dirty_was_written(const struct sim_params *p)
{
	u64 first = session_first_sector(p);

	for (u32 i = 0; i < p->sectors; i++) {
		if (!places[i].dirty || oracle_was_written(first + i))
			continue;
		snprintf(error, sizeof(error), "sector %llu is dirty, and was never written",
			 (unsigned long long)first + i);
		return error;
	}
	return NULL;
}

static void write_mainline_disk(void *data, u64 sector, u32 sectors, const u8 *from)
{
	const struct sim_params *p = data;
	u64 first = session_first_sector(p);

	if (sector >= first && sector + sectors <= first + p->sectors)
		memcpy(mainline_disk + ((sector - first) << SECTOR_SHIFT), from,
		       (size_t)sectors << SECTOR_SHIFT);
}

/* Through its index, and, when it has written back, from the disk alone. */
static const char *judge_mainline(const struct sim_params *p, const struct checker_image *image,
				  bool growing)
{
	u64 first = session_first_sector(p);
	const char *wrong = NULL;

	if (!mainline_attach(&mainline, image))
		return growing ? NULL : say("Linux's own would refuse it", mainline.error);
	/* It has room for as many as the super-block says, and would give out each. */
	if (mainline.n_segs != mainline.seg_num)
		return say("Linux's own", "would use segments that it has not read");
	mainline_places(&mainline, first, p->sectors, places);
	for (u32 i = 0; i < p->sectors && !wrong; i++) {
		const u8 *disk = disk_model_durable(first + i);

		wrong = oracle_recovered(places[i].off ? image->media + places[i].off : disk,
					 first + i, 1);
		memcpy(mainline_disk + (i << SECTOR_SHIFT), disk, SECTOR_SIZE);
	}
	if (wrong)
		return say("read by Linux's own", wrong);
	mainline_writeback(&mainline, write_mainline_disk, (void *)p);
	wrong = oracle_recovered(mainline_disk, first, p->sectors);
	if (wrong)
		return say("written back by Linux's own", wrong);
	if (!mainline_reclaim(&mainline))
		return say("reclaimed by Linux's own", mainline.error);
	return NULL;
}

const char *verdict_judge(const struct sim_params *p, enum checker_state state,
			  bool formatting, struct verdict *v)
{
	const struct checker_image image = {
		.media = pmem_model_durable(), .bytes = pmem_model_bytes(),
		.backing_sectors = session_first_sector(p) + p->sectors,
		.readable = pmem_model_nr_poisoned() ? pmem_model_readable : NULL,
	};
	struct checker c = {
		.first_sector = session_first_sector(p), .nr_sectors = p->sectors,
		.places = places, .mainline_left = p->mainline,
	};
	bool good = checker_run(&image, state, &c);
	bool wiping = good && c.damaged && !c.formatted && !pmem_model_was_poisoned();
	const char *wrong;

	if ((formatting && !c.formatted) || wiping) {
		good = true;
		c.damaged = false;
		c.unfinished = true;
	}
	/* With media errors in the metadata nobody can tell: only reading judges. */
	if (pmem_model_was_poisoned() && !good)
		c.damaged = true;
	if (!pmem_model_was_poisoned() && (!good || c.damaged))
		return say(state == CHECKER_DETACHED ? "medium after a detach" :
			   "medium after a power cut", c.error);
	expect(p, &c);
	*v = (struct verdict) {
		.formatted = c.formatted && !c.unfinished, .wiping = wiping, .growing = c.growing,
		.hash = c.hash,
		.expected = expected, .known = known, .places = places,
		.end = { c.end[0], c.end[1] }, .key_tail = { c.key_tail[0], c.key_tail[1] },
		.dirty_tail = { c.dirty_tail[0], c.dirty_tail[1] },
	};
	wrong = clean_is_on_disk(p) ?: dirty_was_written(p);
	doubt_what_was_left_out(p);
	if (wrong || pmem_model_was_poisoned())
		return wrong;
	wrong = oracle_disk(disk_model_durable_content(), !p->fast);
	/*
	 * Keys of an old generation only Linux's own leaves, and it neither counts them
	 * right nor keeps hidden what they hide.
	 */
	if (!wrong && c.formatted && !c.unfinished && !c.nr_stale_keys)
		wrong = judge_mainline(p, &image, c.growing);
	return wrong;
}
