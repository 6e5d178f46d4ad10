/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The model of persistent memory; pmem-model.c tells what it promises. */
#ifndef SIM_PMEM_MODEL_H
#define SIM_PMEM_MODEL_H

#include <linux/blkdev.h>
#include <shim/sim.h>

#define PMEM_MAX_BYTES (4UL << 20)

/* Which of the unfenced words a power cut leaves. */
enum pmem_cut {
	PMEM_CUT_NONE,
	PMEM_CUT_ALL,
	PMEM_CUT_WORDS,		/* each word or not */
	PMEM_CUT_STORES,	/* each store or not */
	PMEM_CUT_PREFIX,	/* the first so many words */
	PMEM_CUT_ONE_LESS,	/* all words but one */
	PMEM_CUT_ONE,		/* one word */
	PMEM_CUTS,
};

/**
 * struct pmem_store - a store that no fence has made durable yet
 * @off: bytes, on the medium
 * @len: bytes
 * @cached: it is in a CPU's cache, and nobody has begun to write it back
 * @data: what was stored, once the power is off
 */
struct pmem_store {
	u32 off;
	u32 len;
	bool cached;
	const u8 *data;
};

/**
 * struct pmem_counts - what was done since pmem_model_new()
 * @stores: how many
 * @bytes: stored
 * @fences: how many
 */
struct pmem_counts {
	u64 stores;
	u64 bytes;
	u64 fences;
};

/* Once in each process: the mappings are not to be shared with a child. */
void pmem_model_init(void);
/* A blank medium without media errors. */
void pmem_model_new(u64 bytes);
/* It gets larger; what is new is blank. */
void pmem_model_grow(u64 bytes);
/* The same for a device that is in use. */
void pmem_model_grow_used(u64 bytes);
/* A block device for a new world. */
struct block_device *pmem_model_bdev(void);

const u8 *pmem_model_durable(void);
const u8 *pmem_model_view(void);
u64 pmem_model_bytes(void);
const struct pmem_counts *pmem_model_counts(void);

/*
 * A power cut: pmem_model_off() keeps what was durable and what was not;
 * pmem_model_on() makes a medium of it, as often as one likes, each time from
 * the same state.
 */
void pmem_model_off(void);
void pmem_model_on(struct sim_random *r, enum pmem_cut how);
/* The same with a choice of the caller's: @keep has a bit for each word. */
u32 pmem_model_unfenced(const struct pmem_store **stores);
void pmem_model_on_words(bool (*keep)(void *arg, u32 store, u32 word), void *arg);
/* What is durable becomes what the next pmem_model_on() begins with. */
void pmem_model_settle(void);
/* Stores and fences of somebody who is no task of a world. */
void pmem_model_store(u32 cpu, u64 off, const void *src, u64 n);
void pmem_model_fence(u32 cpu);
/* Changes the durable medium from outside, as another machine would. */
void pmem_model_write(u64 off, const void *src, u64 n);

/* The whole durable medium at once, nothing pending; pmem_model_on() begins with it. */
void pmem_model_load(const u8 *image);

void pmem_model_poison(u64 off, u64 n);
/* So that a byte is not what was stored; it counts as a media error. */
void pmem_model_rot(u64 off, u8 bits);
void pmem_model_heal(void);
bool pmem_model_readable(const void *unused, u64 off, u64 n);
u32 pmem_model_nr_poisoned(void);
/* Was there any since the medium was made or loaded? */
/* Whether a store of a whole line ends its media error; so from the start: no. */
void pmem_model_set_store_heals(bool heals);
bool pmem_model_was_poisoned(void);

#endif
