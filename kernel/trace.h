/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracepoints: a request's way, what goes into the log, what leaves the cache, and
 * what fails. doc/dm-pcache.rst says what each of them tells.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM dm_pcache

#if !defined(PCACHE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define PCACHE_TRACE_H

#include <linux/string.h>
#include <linux/tracepoint.h>

#include "pcache.h"

TRACE_DEFINE_ENUM(PCACHE_HIT);
TRACE_DEFINE_ENUM(PCACHE_MISS);
TRACE_DEFINE_ENUM(PCACHE_WRITE);
TRACE_DEFINE_ENUM(PCACHE_WAIT);
TRACE_DEFINE_ENUM(PCACHE_FLUSH);
TRACE_DEFINE_ENUM(PCACHE_DISCARD);

/* Of a device ("253:4") and of a reason; longer ones are cut. */
#define PCACHE_TRACE_NAME	16
#define PCACHE_TRACE_WHY	48

/* What a bio asks for, in one letter. This header is read several times: no function. */
#define PCACHE_TRACE_OP(bio)						\
	(bio_op(bio) == REQ_OP_READ ? 'R' :				\
	 bio_op(bio) == REQ_OP_FLUSH ? 'F' :				\
	 bio_op(bio) == REQ_OP_DISCARD ? 'D' :				\
	 bio_op(bio) == REQ_OP_WRITE_ZEROES ? 'Z' :			\
	 bio_op(bio) != REQ_OP_WRITE ? '?' : bio_has_data(bio) ? 'W' : 'F')

DECLARE_EVENT_CLASS(pcache_request,
	TP_PROTO(const struct pcache_request *rq),
	TP_ARGS(rq),
	TP_STRUCT__entry(
		__array(char, name, PCACHE_TRACE_NAME)
		__field(u64, sector)
		__field(u32, sectors)
		__field(char, op)
		__field(bool, fua)
	),
	TP_fast_assign(
		strscpy(__entry->name, rq->pc->name, PCACHE_TRACE_NAME);
		__entry->sector = rq->bio->bi_iter.bi_sector;
		__entry->sectors = bio_sectors(rq->bio);
		__entry->op = PCACHE_TRACE_OP(rq->bio);
		__entry->fua = rq->bio->bi_opf & REQ_FUA;
	),
	TP_printk("%s %c%s %llu + %u", __entry->name, __entry->op, __entry->fua ? "+FUA" : "",
		  __entry->sector, __entry->sectors)
);

/* It comes in. */
DEFINE_EVENT(pcache_request, pcache_request_begin,
	TP_PROTO(const struct pcache_request *rq),
	TP_ARGS(rq)
);

/* A write goes to the end of those that wait for room. */
DEFINE_EVENT(pcache_request, pcache_request_wait,
	TP_PROTO(const struct pcache_request *rq),
	TP_ARGS(rq)
);

/* It is done, after @ns nanoseconds. */
TRACE_EVENT(pcache_request_end,
	TP_PROTO(const struct pcache_request *rq, u64 ns),
	TP_ARGS(rq, ns),
	TP_STRUCT__entry(
		__array(char, name, PCACHE_TRACE_NAME)
		__field(u64, sector)
		__field(u64, ns)
		__field(u32, sectors)
		__field(int, outcome)
		__field(int, error)
		__field(char, op)
	),
	TP_fast_assign(
		strscpy(__entry->name, rq->pc->name, PCACHE_TRACE_NAME);
		__entry->sector = rq->bio->bi_iter.bi_sector;
		__entry->ns = ns;
		__entry->sectors = bio_sectors(rq->bio);
		__entry->outcome = rq->outcome;
		__entry->error = blk_status_to_errno(rq->status);
		__entry->op = PCACHE_TRACE_OP(rq->bio);
	),
	TP_printk("%s %c %llu + %u %s error %d ns %llu", __entry->name, __entry->op,
		  __entry->sector, __entry->sectors,
		  __print_symbolic(__entry->outcome,
				   { PCACHE_HIT, "hit" },
				   { PCACHE_MISS, "miss" },
				   { PCACHE_WRITE, "write" },
				   { PCACHE_WAIT, "wait" },
				   { PCACHE_FLUSH, "flush" },
				   { PCACHE_DISCARD, "discard" }),
		  __entry->error, __entry->ns)
);

/* A kset with @keys is durable, or a LAST, with none. */
TRACE_EVENT(pcache_commit,
	TP_PROTO(const struct pcache *pc, const struct pcache_pos *pos, u32 keys),
	TP_ARGS(pc, pos, keys),
	TP_STRUCT__entry(
		__array(char, name, PCACHE_TRACE_NAME)
		__field(u64, ord)
		__field(u32, seg)
		__field(u32, off)
		__field(u32, keys)
	),
	TP_fast_assign(
		strscpy(__entry->name, pc->name, PCACHE_TRACE_NAME);
		__entry->ord = pos->ord;
		__entry->seg = pos->seg;
		__entry->off = pos->off;
		__entry->keys = keys;
	),
	TP_printk("%s kset %llu at %u:%u keys %u", __entry->name, __entry->ord, __entry->seg,
		  __entry->off, __entry->keys)
);

/* Write-back has tried the dirty keys of the ksets from @from up to @to. */
TRACE_EVENT(pcache_writeback_batch,
	TP_PROTO(const struct pcache *pc, u64 from, u64 to, u32 keys, u32 written,
		 u32 unreadable, u32 unwritten, bool done),
	TP_ARGS(pc, from, to, keys, written, unreadable, unwritten, done),
	TP_STRUCT__entry(
		__array(char, name, PCACHE_TRACE_NAME)
		__field(u64, from)
		__field(u64, to)
		__field(u32, keys)
		__field(u32, written)
		__field(u32, unreadable)
		__field(u32, unwritten)
		__field(bool, done)
	),
	TP_fast_assign(
		strscpy(__entry->name, pc->name, PCACHE_TRACE_NAME);
		__entry->from = from;
		__entry->to = to;
		__entry->keys = keys;
		__entry->written = written;
		__entry->unreadable = unreadable;
		__entry->unwritten = unwritten;
		__entry->done = done;
	),
	TP_printk("%s ksets %llu to %llu keys %u sectors written %u unreadable %u unwritten %u done %d",
		  __entry->name, __entry->from, __entry->to, __entry->keys, __entry->written,
		  __entry->unreadable, __entry->unwritten, __entry->done)
);

/* key_tail has passed @ksets and stands at @tail; @freed segments have become free. */
TRACE_EVENT(pcache_reclaim,
	TP_PROTO(const struct pcache *pc, u64 tail, u32 ksets, u32 freed),
	TP_ARGS(pc, tail, ksets, freed),
	TP_STRUCT__entry(
		__array(char, name, PCACHE_TRACE_NAME)
		__field(u64, tail)
		__field(u32, ksets)
		__field(u32, freed)
	),
	TP_fast_assign(
		strscpy(__entry->name, pc->name, PCACHE_TRACE_NAME);
		__entry->tail = tail;
		__entry->ksets = ksets;
		__entry->freed = freed;
	),
	TP_printk("%s key_tail %llu ksets %u segments freed %u", __entry->name, __entry->tail,
		  __entry->ksets, __entry->freed)
);

/* What was used gets a second turn: @e is copied to @room. */
TRACE_EVENT(pcache_second_turn,
	TP_PROTO(const struct pcache *pc, const struct pcache_extent *e,
		 const struct pcache_room *room),
	TP_ARGS(pc, e, room),
	TP_STRUCT__entry(
		__array(char, name, PCACHE_TRACE_NAME)
		__field(u64, sector)
		__field(u32, sectors)
		__field(u32, from)
		__field(u32, to)
	),
	TP_fast_assign(
		strscpy(__entry->name, pc->name, PCACHE_TRACE_NAME);
		__entry->sector = e->sector;
		__entry->sectors = e->sectors;
		__entry->from = e->seg;
		__entry->to = room->seg;
	),
	TP_printk("%s %llu + %u segment %u to %u", __entry->name, __entry->sector,
		  __entry->sectors, __entry->from, __entry->to)
);

/* Something has failed; @sectors is 0 where that concerns no range. */
TRACE_EVENT(pcache_failure,
	TP_PROTO(const struct pcache *pc, const char *why, u64 sector, u32 sectors),
	TP_ARGS(pc, why, sector, sectors),
	TP_STRUCT__entry(
		__array(char, name, PCACHE_TRACE_NAME)
		__array(char, why, PCACHE_TRACE_WHY)
		__field(u64, sector)
		__field(u32, sectors)
	),
	TP_fast_assign(
		strscpy(__entry->name, pc->name, PCACHE_TRACE_NAME);
		strscpy(__entry->why, why, PCACHE_TRACE_WHY);
		__entry->sector = sector;
		__entry->sectors = sectors;
	),
	TP_printk("%s %s %llu + %u", __entry->name, __entry->why, __entry->sector,
		  __entry->sectors)
);

#endif /* PCACHE_TRACE_H */

/* Beside this file; the Makefile says where that is. */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace

#include <trace/define_trace.h>
