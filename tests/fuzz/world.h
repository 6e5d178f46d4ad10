/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One life of the engine for hostile input: a world with both devices, what is done
 * in it, and what must hold whenever it ends.
 */
#ifndef FUZZ_WORLD_H
#define FUZZ_WORLD_H

#include <linux/device-mapper.h>
#include <shim/dm-host.h>
#include <shim/sim.h>

/* More points than that in one world are a hang. */
#define FUZZ_POINTS	3000000ULL
#define FUZZ_ERROR	300
#define FUZZ_TABLE	400

/* Once, before anything else. */
void fuzz_init(void);

/**
 * fuzz_world() - Run a world.
 * @config: how it behaves
 * @fn: its first task; both devices are known as pmem0 and vda, nothing is attached
 * @arg: handed to @fn, which must have detached when it returns
 * @end: gets how it ended
 *
 * It is a fault if a rule of the shim or of a model is broken, at any WARN(), if
 * anything is left in memory or scheduled, or without end.
 *
 * Return: false at a fault; fuzz_error() says which.
 */
bool fuzz_world(const struct sim_config *config, void (*fn)(void *arg), void *arg,
		enum sim_end *end);
const char *fuzz_error(void);
/* What the engine logged in the last world; its newest part. */
const char *fuzz_log(void);
/* How many lines so far, and whether one told of data that cannot be read. */
u32 fuzz_log_lines(void);
bool fuzz_bad_data(void);
/* Prints fuzz_error() and the log, and aborts: a finding. */
void fuzz_give_up(void) __attribute__((__noreturn__));
/* Outside of a world: something is wrong. */
void fuzz_wrong(const char *fmt, ...)
	__attribute__((__noreturn__, __format__(__printf__, 1, 2)));

/*
 * In a world
 */

/**
 * fuzz_attach() - Load and resume a table.
 * @table: the line
 * @read_only: the table's mode
 * @error: gets, when it is refused, why; FUZZ_ERROR bytes
 *
 * To refuse a table without a message is a fault.
 *
 * Return: NULL when it is refused.
 */
struct mapped_device *fuzz_attach(const char *table, bool read_only, char *error);
void fuzz_detach(struct mapped_device *md);
int fuzz_read(struct mapped_device *md, u64 sector, void *buf, u32 sectors);
/* The status line; it must fit. */
void fuzz_status(struct mapped_device *md, status_type_t type, char *buf, size_t bytes);

#endif
