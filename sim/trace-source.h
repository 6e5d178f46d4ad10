/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Block traces, from a file or generated; trace-source.c tells of the formats and of
 * what is generated.
 */
#ifndef SIM_TRACE_SOURCE_H
#define SIM_TRACE_SOURCE_H

#include <linux/types.h>

enum trace_op {
	TRACE_READ,
	TRACE_WRITE,
	TRACE_FLUSH,
};

/**
 * struct trace_request - one request
 * @sector: first one
 * @sectors: how many; 0 for a FLUSH
 * @op: what
 */
struct trace_request {
	u64 sector;
	u32 sectors;
	enum trace_op op;
};

/**
 * struct trace - requests in their order
 * @request: them
 * @nr: how many
 * @end: behind the last sector that is used
 * @shift: what was added to each sector of a file, so that most are aligned to 4 KiB
 * @generated: it is not from a file
 */
struct trace {
	struct trace_request *request;
	u32 nr;
	u64 end;
	u32 shift;
	bool generated;
};

/**
 * struct trace_spec - which trace
 * @name: one of trace_names[], or a file's
 * @seed: of what is generated
 * @requests: how many at most
 * @blocks: of 4 KiB, over which it is generated
 * @cache_blocks: size of the cache, to which a loop is fitted
 * @theta: skew of zipf
 * @write_percent: share of writes, of those generated that have some
 */
struct trace_spec {
	const char *name;
	u64 seed;
	u32 requests;
	u32 blocks;
	u32 cache_blocks;
	double theta;
	u32 write_percent;
};

#define TRACE_BLOCK_SECTORS	8
#define TRACE_MAX_SECTORS	8192
#define TRACE_MAX_END		(1ULL << 31)	/* 1 TiB */

/* What can be generated; ends with NULL. */
extern const char *const trace_names[];

bool trace_is_generated(const char *name);
/* Does it depend on the size of the cache? */
bool trace_fits_cache(const char *name);

/* NULL, or what is wrong; then nothing is to be freed. */
const char *trace_make(const struct trace_spec *spec, struct trace *t);
void trace_free(struct trace *t);

/* Bytes of all units of @unit_sectors that the trace touches. */
u64 trace_footprint(const struct trace *t, u32 unit_sectors);

#endif
