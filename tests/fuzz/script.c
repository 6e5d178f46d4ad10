// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzer of operations. An input is a script (script.h) for a small cache: requests,
 * messages, suspends, detaches, power cuts, errors of the disk, media errors, memory
 * that runs out. The oracle says what may be read at each moment, the checker judges
 * each medium that is left behind.
 *
 * A script is played in worlds: one ends with a power cut or a detach, and the next one
 * goes on behind the operation that was under way.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/wait.h>

#include "disk-model.h"
#include "format.h"
#include "oracle.h"
#include "pmem-model.h"
#include "script.h"
#include "session.h"
#include "verdict.h"
#include "world.h"

#define DEPTH		4
#define OP_SECTORS	24
#define MAX_POISON	3
#define MAX_WORLDS	24
/* Requests that wait for what the disk or memory refuses get it after so long. */
#define PATIENCE	(10 * HZ)

struct request {
	blk_opf_t flags;
	u64 sector;
	u32 sectors;
	u32 write;
	u64 begin;
	bool busy;
};

static struct {
	struct script_head head;
	struct script_op op[SCRIPT_OPS];
	u32 nr_ops;
	u32 at;
	struct sim_params p;
	struct sim_random random;
	struct verdict verdict;
	bool crashed;
	bool refused;			/* as it may be, with media errors */
	u8 cut_how;
	u32 nr_poison;

	/* of one world */
	struct mapped_device *md;
	bool read_only;
	bool disk_fails;
	u32 alloc_fail;
	struct request request[DEPTH];
	u32 busy;
	bool known[DISK_MAX_SECTORS];
} sc;

static u8 buffers[DEPTH][OP_SECTORS << SECTOR_SHIFT] __aligned(4096);
static u8 whole[DISK_MAX_SECTORS << SECTOR_SHIFT] __aligned(4096);
/* Not on a stack: who wakes may still be about it when the waiter has gone on. */
static wait_queue_head_t idle;

static bool media_errors(void)
{
	return sc.p.poison;
}

static u64 first_sector(void)
{
	return session_first_sector(&sc.p);
}

static void set_alloc_failures(u32 of_1024)
{
	sc.alloc_fail = of_1024;
	sim_set_alloc_failures(of_1024);
}

static void heal(void)
{
	disk_model_set_errors(0, 0, 0);
	disk_model_set_gone(false);
	disk_model_set_bad(0, 0);
	sc.disk_fails = false;
	set_alloc_failures(0);
}

/*
 * Attaching
 */

static int try_attach(char *error)
{
	char line[FUZZ_TABLE];
	int r;

	snprintf(line, sizeof(line),
		 "0 %llu pcache pmem0 vda 6 data_crc %s gc_percent %u writeback_order %s",
		 first_sector() + sc.p.sectors, sc.p.data_crc ? "true" : "false",
		 sc.p.gc_percent, sc.p.fast ? "fast" : "ordered");
	error[0] = '\0';
	sim_set_alloc_failures(0);
	sc.md = dm_host_create("cache");
	sim_set_alloc_failures(sc.alloc_fail);
	r = dm_host_load(sc.md, line, sc.read_only, error, FUZZ_ERROR);
	if (r && !error[0])
		sim_fail("a table is refused without a message: %d", r);
	if (!r)
		r = dm_host_resume(sc.md);
	if (r) {
		if (dm_host_remove(sc.md))
			sim_fail("what was not resumed cannot be removed");
		sc.md = NULL;
	}
	return r;
}

static bool attach(void)
{
	char error[FUZZ_ERROR];
	int r = try_attach(error);

	if (r == -ENOMEM && sc.alloc_fail) {
		set_alloc_failures(0);
		r = try_attach(error);
	}
	if (r && !media_errors())
		sim_fail("attaching: %d, %s", r, error);
	sc.refused = r;
	return !r;
}

static void suspend(bool noflush)
{
	u64 begin = oracle_now();
	int r = dm_host_suspend(sc.md, noflush);

	if (r)
		sim_fail("suspend: %d", r);
	if (!media_errors())
		oracle_flush_end(begin);
}

/*
 * Looking at what is there
 */

static int read_into_whole(u32 at, u32 n)
{
	return fuzz_read(sc.md, first_sector() + at, whole + (at << SECTOR_SHIFT), n);
}

static void read_whole(void)
{
	int r = read_into_whole(0, sc.p.sectors);

	if (r && !media_errors())
		sim_fail("reading all: %d", r);
	for (u32 i = 0; i < sc.p.sectors; i += sc.p.block)
		memset(sc.known + i, !r || !read_into_whole(i, sc.p.block), sc.p.block);
}

static void look(void)
{
	read_whole();
	for (u32 i = 0; i < sc.p.sectors; i++) {
		const u8 *is = whole + (i << SECTOR_SHIFT);
		const char *error;

		if (!sc.known[i])
			continue;
		if (sc.verdict.known[i] &&
		    memcmp(is, sc.verdict.expected + (i << SECTOR_SHIFT), SECTOR_SIZE))
			sim_fail("sector %llu is not read as the medium has it",
				 first_sector() + i);
		if (sc.read_only && media_errors())
			continue;
		error = oracle_recovered(is, first_sector() + i, 1);
		if (error)
			sim_fail("%s", error);
	}
	if (!sc.read_only)
		oracle_settle(whole, sc.known);
}

/*
 * Requests
 */

static void end_write(struct request *rq, int error)
{
	/* In some modes a write waits for the disk. */
	if (error && !media_errors() && !(rq->sectors && disk_model_failed()))
		sim_fail("a %s ended with %d", rq->sectors ? "write" : "flush", error);
	if (rq->sectors)
		oracle_write_end(rq->write, error, rq->flags & REQ_FUA);
	if (!error && rq->flags & REQ_PREFLUSH)
		oracle_flush_end(rq->begin);
}

static void end_read(struct request *rq, int error)
{
	const char *wrong;

	if (error && !media_errors() && !disk_model_failed())
		sim_fail("a read ended with %d", error);
	wrong = error ? NULL : oracle_read(rq->begin, buffers[rq - sc.request], rq->sector,
					   rq->sectors);
	if (wrong)
		sim_fail("%s", wrong);
}

static void request_done(void *data, int error)
{
	struct request *rq = data;

	if (!rq->busy)
		sim_fail("a request has ended twice");
	if (op_is_write(rq->flags))
		end_write(rq, error);
	else
		end_read(rq, error);
	rq->busy = false;
	sc.busy--;
	wake_up(&idle);
}

/* Until no more than @most requests are under way. */
static void wait_for(u32 most)
{
	if (wait_event_timeout(idle, sc.busy <= most, PATIENCE))
		return;
	heal();
	wait_event(idle, sc.busy <= most);
}

static struct request *idle_request(void)
{
	wait_for(DEPTH - 1);
	for (u32 i = 0; i < DEPTH; i++)
		if (!sc.request[i].busy)
			return &sc.request[i];
	return NULL;
}

static void submit(blk_opf_t flags, u32 at, u32 sectors)
{
	struct request *rq = idle_request();
	u8 *buf = buffers[rq - sc.request];

	*rq = (struct request) {
		.flags = flags, .sectors = sectors, .busy = true,
		.sector = sectors ? first_sector() + at : 0,
	};
	sc.busy++;
	rq->begin = oracle_now();
	if (op_is_write(flags) && sectors) {
		rq->write = oracle_write_begin(rq->sector, sectors);
		oracle_fill(buf, rq->write, rq->sector, sectors);
	}
	dm_host_rw_async(dm_host_bdev(sc.md), flags, rq->sector, buf, sectors, request_done,
			 rq);
}

static void transfer(blk_opf_t flags, const struct script_op *op)
{
	u32 n = ALIGN(1 + op->b % OP_SECTORS, sc.p.block), at;

	n = min(n, OP_SECTORS);
	at = op->a * sc.p.sectors / 256;
	at = min(at, sc.p.sectors - n);
	submit(flags, at - at % sc.p.block, n);
}

/*
 * Other operations
 */

static void send(u32 which)
{
	static const char *const texts[] = {
		"flush", "cleaner", "gc_percent 0", "gc_percent 90", "gc_percent 70", "stats",
		"clear_stats", "flush_on_suspend", "cache_mode writeback",
		"cache_mode writethrough", "cache_mode writearound", "cache_mode writeonly",
	};
	const char *text = texts[which % ARRAY_SIZE(texts)];
	char result[2048];
	int r;

	/* These would wait as long as the disk fails. */
	if (text == texts[0] || !strncmp(text, "cache_mode", 10))
		heal();
	r = dm_host_message(sc.md, text, result, sizeof(result));
	if (r < 0 && !media_errors() && !disk_model_failed() &&
	    !(r == -ENOMEM && sc.alloc_fail))
		sim_fail("message %s: %d", text, r);
}

static void suspend_and_resume(bool noflush)
{
	int r;

	wait_for(noflush ? DEPTH : 0);
	if (sc.disk_fails)
		heal();
	suspend(noflush);
	r = dm_host_resume(sc.md);
	if (r)
		sim_fail("resume: %d", r);
}

static void detach(void)
{
	wait_for(0);
	heal();
	suspend(false);
	if (dm_host_remove(sc.md))
		sim_fail("the device cannot be removed");
	sc.md = NULL;
}

static void break_disk(const struct script_op *op)
{
	sc.disk_fails = true;
	if (op->kind == SCRIPT_DISK_ERRORS)
		disk_model_set_errors(op->a * 4, op->b * 4, op->c * 4);
	else if (op->c & 1)
		disk_model_set_gone(true);
	else
		disk_model_set_bad(first_sector() + op->a % sc.p.sectors, 1 + op->b % 32);
}

static void make_media_error(const struct script_op *op)
{
	u64 end = op->c & 1 ? PCACHE_SEGS_OFF : pmem_model_bytes();

	if (sc.nr_poison++ >= MAX_POISON)
		return;
	sc.p.poison = 1;
	pmem_model_poison((op->a | op->b << 8) * 64ULL % end, 64);
}

static void cut(const struct script_op *op)
{
	sc.cut_how = op->c;
	if (!op->a && !op->b)
		sim_cut();
	sim_set_cut(op->a | op->b << 8);
}

/* False: this world is over. */
static bool perform(const struct script_op *op)
{
	switch (op->kind % SCRIPT_KINDS) {
	case SCRIPT_WRITE:
	case SCRIPT_WRITE_MORE:
		transfer(REQ_OP_WRITE | (op->c & 1 ? REQ_FUA : 0) |
			 (op->c & 2 ? REQ_PREFLUSH : 0), op);
		return true;
	case SCRIPT_READ:
		transfer(REQ_OP_READ, op);
		return true;
	case SCRIPT_FLUSH:
		submit(REQ_OP_WRITE | REQ_PREFLUSH, 0, 0);
		return true;
	case SCRIPT_WAIT:
		wait_for(0);
		return true;
	case SCRIPT_SLEEP:
		msleep(op->a * 10 + 1);
		return true;
	case SCRIPT_MESSAGE:
		send(op->a);
		return true;
	case SCRIPT_SUSPEND:
		suspend_and_resume(op->a & 1);
		return true;
	case SCRIPT_ATTACH:
		detach();
		return !(op->a & 1) && attach();
	case SCRIPT_CUT:
		cut(op);
		return true;
	case SCRIPT_DISK_ERRORS:
	case SCRIPT_DISK_BAD:
		break_disk(op);
		return true;
	case SCRIPT_MEDIA_ERROR:
		make_media_error(op);
		return true;
	case SCRIPT_NO_MEMORY:
		set_alloc_failures(op->a * 4);
		return true;
	default:
		heal();
		return true;
	}
}

/* At the very end all is written back, and the disk alone has the newest data. */
static void check_written_back(void)
{
	char result[100];
	const char *error;
	int r;

	wait_for(0);
	heal();
	r = dm_host_message(sc.md, "flush", result, sizeof(result));
	if (media_errors())
		return;
	if (r)
		sim_fail("flush at the end: %d", r);
	error = oracle_disk_is_newest(disk_model_sector);
	if (error)
		sim_fail("after a flush, %s", error);
}

static void play(void *arg)
{
	bool on = true;

	init_waitqueue_head(&idle);
	heal();
	if (!attach())
		return;
	if (sc.crashed)
		look();
	while (on && !sc.read_only && sc.at < sc.nr_ops)
		on = perform(&sc.op[sc.at++]);
	if (on && !sc.read_only)
		check_written_back();
	if (sc.md)
		detach();
}

/*
 * Between worlds
 */

static enum sim_end run_world(bool read_only)
{
	static const u32 means[] = { 0, 3, 10, 40, 200, 1, 20, 100 };
	const struct sim_config config = {
		.seed = sim_next(&sc.random), .cpus = sc.p.cpus,
		.switch_mean = means[sc.head.tasks & 7], .jump_of_1024 = sc.head.jump,
		.max_points = 4 * FUZZ_POINTS,
	};
	enum sim_end end;

	sc.read_only = read_only;
	sc.md = NULL;
	sc.busy = 0;
	memset(sc.request, 0, sizeof(sc.request));
	if (!fuzz_world(&config, play, NULL, &end))
		fuzz_give_up();
	return end;
}

static void judge(enum checker_state state)
{
	const char *error = verdict_judge(&sc.p, state, false, &sc.verdict);

	if (error)
		fuzz_wrong("at rest: %s\n%s", error, fuzz_log());
}

static void after_cut(void)
{
	oracle_crash();
	pmem_model_off();
	disk_model_off();
	pmem_model_on(&sc.random, sc.cut_how % PMEM_CUTS);
	disk_model_on(&sc.random, (sc.cut_how >> 4) % DISK_CUTS);
	judge(CHECKER_CRASHED);
}

static void after_detach(void)
{
	oracle_crash();
	pmem_model_settle();
	disk_model_off();
	disk_model_on(&sc.random, sim_below(&sc.random, DISK_CUTS));
	judge(media_errors() ? CHECKER_CRASHED : CHECKER_DETACHED);
}

static void begin(void)
{
	const struct disk_config disk = {
		.first = first_sector(), .sectors = sc.p.sectors, .block_sectors = sc.p.block,
		.write_cache = !(sc.head.how & SCRIPT_NO_CACHE),
		.latency_ns = sc.head.latency * 10000ULL,
	};
	u64 bytes = PCACHE_SEGS_OFF + (u64)sc.p.segs * PCACHE_SEG_BYTES;

	pmem_model_new(ALIGN(bytes, PAGE_SIZE));
	pmem_model_set_store_heals(true);
	disk_model_new(&disk);
	oracle_new(disk.first, disk.sectors);
	sim_seed(&sc.random, sc.head.seed);
	sc.crashed = false;
	sc.refused = false;
	sc.at = 0;
	sc.nr_poison = 0;
}

static void set_params(void)
{
	const struct script_head *h = &sc.head;

	sc.p = (struct sim_params) {
		.segs = PCACHE_MIN_SEGS + h->segs % 17, .sectors = 32 + 16 * (h->sectors % 15),
		.data_crc = h->how & SCRIPT_DATA_CRC, .fast = !!(h->how & SCRIPT_FAST),
		.gc_percent = h->gc_percent % 91, .cpus = 1 + (h->tasks >> 4 & 3),
		.block = h->how & SCRIPT_LARGE_BLOCKS ? 8 : 1,
	};
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	fuzz_init();
	return 0;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	if (size < sizeof(sc.head) + sizeof(*sc.op))
		return -1;
	memcpy(&sc.head, data, sizeof(sc.head));
	sc.nr_ops = min_t(size_t, (size - sizeof(sc.head)) / sizeof(*sc.op), SCRIPT_OPS);
	memcpy(sc.op, data + sizeof(sc.head), sc.nr_ops * sizeof(*sc.op));
	set_params();
	begin();
	for (u32 worlds = 0; worlds < MAX_WORLDS && !sc.refused; worlds++) {
		bool last = sc.at == sc.nr_ops;

		if (run_world(false) == SIM_CUT)
			after_cut();
		else if (!sc.refused)
			after_detach();
		sc.crashed = true;
		if (sc.head.how & SCRIPT_LOOK && sc.verdict.formatted && !sc.refused)
			run_world(true);
		if (last)
			break;
	}
	return 0;
}

size_t LLVMFuzzerMutate(u8 *data, size_t size, size_t max_size);

static u32 nr_of(size_t size)
{
	return size < sizeof(struct script_head) ? 0 :
	       (size - sizeof(struct script_head)) / sizeof(struct script_op);
}

/* Operations more or less, moved, changed. */
size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max_size, unsigned int seed)
{
	struct script_op *op = (struct script_op *)(data + sizeof(struct script_head));
	u32 n = nr_of(size), most = min_t(u32, nr_of(max_size), SCRIPT_OPS), i, k;
	struct sim_random r;

	sim_seed(&r, seed);
	if (!n || !most)
		return LLVMFuzzerMutate(data, size, max_size);
	i = sim_below(&r, n);
	switch (sim_below(&r, 6)) {
	case 0:		/* one or some more */
		for (k = 1 + sim_below(&r, 12); k && n < most; k--) {
			u64 v = sim_next(&r);

			memmove(op + i + 1, op + i, (n++ - i) * sizeof(*op));
			op[i] = (struct script_op) {
				.kind = v % (v >> 8 & 1 ? 5 : SCRIPT_KINDS), .a = v >> 16,
				.b = v >> 24 & (v >> 40 & 1 ? 7 : 255), .c = v >> 32,
			};
		}
		break;
	case 1:		/* a run of them again */
		for (k = 1 + sim_below(&r, min(n - i, 16U)); k && n < most; k--)
			op[n++] = op[i++];
		break;
	case 2:		/* less */
		k = 1 + sim_below(&r, min(n - i, 8U));
		memmove(op + i, op + i + k, (n - i - k) * sizeof(*op));
		n -= k;
		break;
	case 3:
		((u8 *)&op[i])[sim_below(&r, 4)] = sim_next(&r);
		break;
	case 4:
		LLVMFuzzerMutate((u8 *)&op[i], sizeof(*op), sizeof(*op));
		break;
	default:
		data[sim_below(&r, sizeof(struct script_head))] = sim_next(&r);
	}
	return sizeof(struct script_head) + n * sizeof(*op);
}
