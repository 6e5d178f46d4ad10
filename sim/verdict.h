/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is to be said of a medium and a disk that nobody uses at the moment. */
#ifndef SIM_VERDICT_H
#define SIM_VERDICT_H

#include "checker.h"
#include "params.h"

/**
 * struct verdict - what was found
 * @hash: of what recovery reads
 * @expected: content of each sector, as the checker would read it
 * @known: whether that can be said
 * @formatted: there is a cache
 * @wiping: there is none, and only force formats: the format of a device with an older
 *	cache was cut short before that was wiped
 * @growing: as the checker's
 * @end: segment and offset: where the log ends
 * @key_tail: where it begins
 * @dirty_tail: from where on keys are dirty
 * @places: of each sector
 */
struct verdict {
	u64 hash;
	const u8 *expected;
	const bool *known;
	bool formatted;
	bool wiping;
	bool growing;
	u32 end[2];
	u32 key_tail[2];
	u32 dirty_tail[2];
	const struct checker_place *places;
};

/**
 * verdict_judge() - Judge the durable medium and disk.
 * @p: what they are like
 * @state: what is known of the moment
 * @formatting: a format over something else may have been cut short: until there is a
 *	cache, nothing on the medium counts
 * @v: gets what was found
 *
 * The checker, the oracle with the disk alone, and what Linux's own dm-pcache would
 * make of it.
 *
 * Return: NULL, or what is wrong.
 */
const char *verdict_judge(const struct sim_params *p, enum checker_state state,
			  bool formatting, struct verdict *v);

#endif
