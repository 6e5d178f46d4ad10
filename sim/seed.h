/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One seed: sessions and power cuts, each followed by what the oracle says. */
#ifndef SIM_SEED_H
#define SIM_SEED_H

#include "params.h"

/* All u64: they are summed up. */
struct seed_stats {
	u64 seeds;
	u64 sessions;
	u64 ops;
	u64 cuts;
	u64 images;
	u64 second_turns;
	u64 turned;		/* seeds that had some */
	u64 failures;
};

/**
 * seed_run() - Run a seed.
 * @p: its mixture
 * @seed: the seed
 * @trace: tell the story
 * @image_is_new: asked for the hash of each crash image; NULL: nobody counts
 * @stats: added to
 *
 * Return: false when something was wrong; seed_error() says what.
 */
bool seed_run(const struct sim_params *p, u64 seed, bool trace,
	      bool (*image_is_new)(u64 hash), struct seed_stats *stats);
const char *seed_error(void);

#endif
