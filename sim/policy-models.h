/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Models of eviction policies; policy-models.c and log-model.c tell what each is. */
#ifndef SIM_POLICY_MODELS_H
#define SIM_POLICY_MODELS_H

#include <linux/types.h>

#include "trace-source.h"

struct model;

/**
 * struct model_ops - a policy
 * @name: of it
 * @touch: a unit is read; is it cached?
 * @insert: units that are written, or that were missed and are filled, in a row
 * @free: all of it
 */
struct model_ops {
	const char *name;
	bool (*touch)(struct model *m, u32 unit);
	void (*insert)(struct model *m, u32 first, u32 n, bool fill);
	void (*free)(struct model *m);
};

/**
 * struct model - what all have
 * @ops: the policy
 * @stored: units that were stored in the cache: written, filled, copied
 * @fills: how often something was filled
 */
struct model {
	const struct model_ops *ops;
	u64 stored;
	u64 fills;
};

/* Of a set of units, each with the same right: "lru", "fifo", "clock", "sieve", "s3fifo". */
extern const char *const set_model_names[];
/* Units are below @units; @capacity of them are cached. NULL: there is no such policy. */
struct model *set_model_new(const char *name, u32 units, u32 capacity);

/* Of which part of the cache it is remembered how often it was read. */
enum log_grain {
	LOG_GRAIN_UNIT,
	LOG_GRAIN_KEY,		/* what one write or fill logged as one */
	LOG_GRAIN_MERGED,	/* keys that follow each other, on either device, are one */
};

/**
 * struct log_config - a cache whose data is a log
 * @segs: how many segments
 * @seg_units: units in a segment
 * @unit_sectors: sectors in a unit
 * @gc_percent: share of segments in use from which on the oldest goes
 * @reserved: with so few free it goes as well
 * @kset_keys: keys in a kset
 * @grain: of what is remembered
 * @turns: more that one can earn: as many uses as are counted; 0: what is oldest goes
 * @bound_percent: of a segment, what is copied to the head at most when it goes
 */
struct log_config {
	u32 segs;
	u32 seg_units;
	u32 unit_sectors;
	u32 gc_percent;
	u32 reserved;
	u32 kset_keys;
	enum log_grain grain;
	u32 turns;
	u32 bound_percent;
};

/**
 * struct log_figures - what segments held when they went, in units
 * @segs: how many went
 * @live: what nothing had superseded
 * @used: what of it was read since it was stored, as the grain tells
 * @copied: what of that was copied to the head
 */
struct log_figures {
	u64 segs;
	u64 live;
	u64 used;
	u64 copied;
};

struct model *log_model_new(const struct log_config *config, u32 units);
const struct log_figures *log_model_figures(const struct model *m);

void model_free(struct model *m);

/**
 * struct miss_figures - how a trace went, from some request on
 * @read_bytes: that were read
 * @missed_bytes: of which the backing device had to give
 * @written_bytes: that were written by the user
 * @stored_bytes: that were stored in the cache
 * @fills: how often something was filled
 */
struct miss_figures {
	u64 read_bytes;
	u64 missed_bytes;
	u64 written_bytes;
	u64 stored_bytes;
	u64 fills;
};

/**
 * struct playing - how a trace is played
 * @unit_sectors: of the models' units
 * @from: figures count from this request on
 * @cutoff_sectors: where a sequential stream of reads has gone on for so long, misses fill
 *		    nothing; 0: they always do
 */
struct playing {
	u32 unit_sectors;
	u32 from;
	u32 cutoff_sectors;
};

void model_run(struct model *m, const struct trace *t, const struct playing *how,
	       struct miss_figures *figures);

#endif
