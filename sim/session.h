/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One session with the cache: attach, look, work, and detach or lose power. */
#ifndef SIM_SESSION_H
#define SIM_SESSION_H

#include "params.h"

#define KEPT_VALUES 16

/**
 * struct kept_value - an option that the medium keeps
 * @nr: how many it may be
 * @may_be: the one that it was said to be, then what power cuts have come between with
 */
struct kept_value {
	u32 nr;
	u32 may_be[KEPT_VALUES];
};

/**
 * struct session - what is to be done, and what was
 * @p: the seed's mixture
 * @seed: of the session's own random numbers
 * @crashed: the power went before it; it is looked at what is there
 * @expected: what must be read then, of all sectors; NULL: only the oracle knows
 * @known: for each sector, whether @expected has it
 * @only_look: that is all: nothing else is done, and nothing is settled
 * @force: with format force
 * @read_only: by a read-only table, which must not store anything
 * @clean: it ends with a detach; otherwise it goes on until the power goes
 * @gc_percent: what the medium keeps, so that the table need not name it; NULL: it
 *	always does
 * @before_format: called before a script's format
 * @script: operations, a letter each, instead of what the mixture says; NULL: none
 * @refused: the engine would not attach it, as it may where there are media errors
 * @ops: requests that have ended
 * @second_turns: of clean data; those that come after the last pause are not seen
 * @trace: each request and each line of the log is printed
 */
struct session {
	const struct sim_params *p;
	u64 seed;
	bool crashed;
	const u8 *expected;
	const bool *known;
	bool only_look;
	bool force;
	bool read_only;
	bool clean;
	const char *script;
	struct kept_value *gc_percent;
	void (*before_format)(void);
	bool refused;
	u64 ops;
	u64 second_turns;
	bool trace;
};

/* The sector that the window begins with: it lies across the end of a stretch. */
u64 session_first_sector(const struct sim_params *p);
/* Runs it in a world of its own; false: a rule is broken, session_error() says which. */
bool session_run(struct session *s, const struct sim_config *config, enum sim_end *end);
/* To be called at each sim_moment(): so it knows who else stores while it attaches. */
void session_moment(void);
/* Which operation of the script is under way, from 0. */
u32 session_script_at(void);
const char *session_error(void);
/* The log of the last one. */
const char *session_log(void);

#endif
