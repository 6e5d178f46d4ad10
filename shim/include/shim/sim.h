/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The back end of one thread, port-sim.c: what runs it.
 *
 * A world is one life of the shim and of what is linked with it: it begins with
 * every variable as the program had it at its start, no memory allocated and no
 * task, and it ends when its first task does, or is left as it is at that moment
 * (a power cut).  Everything in it follows from the seed alone.
 */
#ifndef SHIM_SIM_H
#define SHIM_SIM_H

#include <linux/types.h>

struct sim_random {
	u64 s[2];
};

void sim_seed(struct sim_random *r, u64 seed);
u64 sim_next(struct sim_random *r);

/* Even, below @n. */
static inline u64 sim_below(struct sim_random *r, u64 n)
{
	return ((unsigned __int128)sim_next(r) * n) >> 64;
}

static inline bool sim_chance(struct sim_random *r, u32 of_1024)
{
	return (sim_next(r) & 1023) < of_1024;
}

/**
 * struct sim_config - how a world behaves
 * @seed: decides all that is open
 * @cpus: how many
 * @switch_mean: points between two switches of tasks, on average; 0: tasks run
 *		 until they wait, and then the one that waits longest does
 * @jump_of_1024: how often, at a switch, the clock goes on to the next deadline
 * @starve_of_1024: how often the clock does so while only slow tasks could run
 * @hops: whoever has been kept on a CPU goes to another one when that ends
 * @atomic_points: 1: atomic operations are points as well, 2: and READ_ONCE() and
 *		   WRITE_ONCE() are; in what is compiled with SHIM_ATOMIC_POINTS
 * @alloc_fail_of_1024: how many allocations fail
 * @cut_after: points until the world is left; 0: never
 * @max_points: more of them are a hang
 */
struct sim_config {
	u64 seed;
	u32 cpus;
	u32 switch_mean;
	u32 jump_of_1024;
	u32 starve_of_1024;
	bool hops;
	u32 atomic_points;
	u32 alloc_fail_of_1024;
	u64 cut_after;
	u64 max_points;
};

enum sim_end {
	SIM_DONE,	/* the first task has returned */
	SIM_CUT,	/* left at a point */
	SIM_FAILED,	/* a rule was broken; the log says which */
};

/* Once, before anything else; keeps what the program's variables are now. */
void sim_init(void);
enum sim_end sim_run(const struct sim_config *config, void (*first)(void *),
		     void *arg);

/* Inside a world: leaves it. */
void sim_cut(void) __attribute__((__noreturn__));
void sim_fail(const char *fmt, ...)
	__attribute__((__noreturn__, __format__(__printf__, 1, 2)));
/* The world's random numbers. */
struct sim_random *sim_random(void);
/* How many points were passed so far; changes with each. */
u64 sim_points(void);
/* From here on so many allocations fail. */
void sim_set_alloc_failures(u32 of_1024);
/* From here on no task is kept from running while the clock goes on. */
void sim_end_starving(void);
/* Cuts after so many points from now; 0: never. */
void sim_set_cut(u64 points);
/* A point: the seed may let another task run. */
void sim_point(void);
/*
 * A moment at which a power cut would leave something new: before a fence, before a
 * request to a disk is served. The host is told, if it wants to know.
 */
void sim_moment(void);
void sim_set_moment(void (*fn)(void));
/*
 * Nobody can run, and the clock is about to go on to the next deadline. The host is
 * told, if it wants to know: it may call sim_fail().
 */
void sim_set_idle(void (*fn)(u64 from_ns, u64 to_ns));
/* Does the task hold a spinlock? */
bool sim_spinlock_held(void);
/* Prints what each task waits for. */
void sim_print_tasks(void (*print)(const char *line));

#endif
