/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A session of Linux's own dm-pcache, as its model works, between two of the engine's. */
#ifndef SIM_MAINLINE_SESSION_H
#define SIM_MAINLINE_SESSION_H

#include "params.h"

/**
 * struct mainline_session - what it does
 * @p: the devices
 * @writes: how many
 * @seed: of its choices
 * @cut_after: stores and writes until the power goes; 0: it does not
 * @format: it first makes a cache of its own, over what is there
 * @fill: it takes every segment with one kset, and writes that back
 * @cut: it went
 */
struct mainline_session {
	const struct sim_params *p;
	u32 writes;
	u64 seed;
	u32 cut_after;
	bool format;
	bool fill;
	bool cut;
};

/* Runs it on the durable medium, and tells the oracle. NULL, or what went wrong. */
const char *mainline_session_run(struct mainline_session *s);

#endif
