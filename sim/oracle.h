/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What each sector may hold; oracle.c tells how that is known. */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include <linux/types.h>

#include "disk-model.h"

#define ORACLE_MAX_SECTORS 1024

/* Forgets all; every sector of the window holds zeroes, durably. */
void oracle_new(u64 first_sector, u32 sectors);

/*
 * Writes begin and end at multiples of so many sectors: then each such block holds one of
 * them as a whole, at any time. 1 after oracle_new().
 */
void oracle_set_block(u32 sectors);

/* What it knows now, to come back to; the caller frees it with free(). */
void *oracle_save(void);
void oracle_load(const void *saved);

/*
 * A write: each has a number, from which its content follows. With an error, or
 * when a power cut meets it, it may have been done in part.
 */
u32 oracle_write_begin(u64 sector, u32 sectors);
/*
 * A second content that the buffer of a write under way gets, or some sectors of it: a write
 * of its own, of the same time. Each sector then holds one or the other, whichever is
 * seen first. It is ended as the first one is, right behind that.
 */
u32 oracle_write_again(u32 write);
/* A write of zeroes, and a discard, which is no write; otherwise as oracle_write_begin(). */
u32 oracle_zeroes_begin(u64 sector, u32 sectors);
u32 oracle_discard_begin(u64 sector, u32 sectors);
void oracle_write_end(u32 write, bool failed, bool fua);
void oracle_fill(void *buf, u32 write, u64 sector, u32 sectors);

/* A FLUSH; the time of its begin is handed to its end. */
u64 oracle_now(void);
void oracle_flush_end(u64 begin);

/*
 * A read that was begun at @begin has just ended: NULL when @buf is what may be
 * there, otherwise a text that says what is wrong.
 */
const char *oracle_read(u64 begin, const void *buf, u64 sector, u32 sectors);

/* The power goes. What was under way may have been done or not. */
void oracle_crash(void);
/* May a sector hold this after the crash? */
const char *oracle_recovered(const void *buf, u64 sector, u32 sectors);
/*
 * What is in @buf (of all sectors) is what there is from now on, durably. Of those
 * that could not be read (!@known) nobody can tell, until the next time.
 */
void oracle_settle(const void *buf, const bool *known);

/* What is durable by now, the backing device has: it must not be lost with the cache. */
void oracle_all_on_disk(void);
/* The same for what was durable at that oracle_now(). */
void oracle_on_disk(u64 begin);

/**
 * oracle_disk() - Is the backing device alone some disk that lost power?
 * @content: what it holds
 * @ordered: in the promised order; otherwise only whole sectors
 */
const char *oracle_disk(struct disk_content content, bool ordered);
/* Has a write to that sector ever begun? */
bool oracle_was_written(u64 sector);
/* And one of zeroes? */
bool oracle_was_zeroed(u64 sector);
/* May a sector hold, after a crash, whatever it once held? */
bool oracle_is_undefined(u64 sector);
/* Has the backing device the newest content of each sector? Nothing is under way. */
const char *oracle_disk_is_newest(const u8 *(*content)(u64 sector));

#endif
