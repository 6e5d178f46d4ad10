// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the kernel of a machine executes between two marks (a no-op with a number,
 * see calls.c): blocks of instructions and how often, bytes stored to persistent
 * memory, fences, flushes of cache lines. A plugin for QEMU's TCG, for one
 * processor:
 *
 *	-plugin plugin.so,out=FILE,pmem=START,size=BYTES
 *
 * START and BYTES are those of persistent memory in the kernel's direct map. FILE
 * gets, for each section, a line "section BYTES STORES FENCES FLUSHES" and then a
 * line "ADDRESS LENGTH COUNT" for each block, LENGTH in instructions. What the
 * emulator does not finish of a block, for an interrupt or a fault, is counted
 * all the same.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * What is used of QEMU's interface, version 1; Debian has no header of it.
 */

struct qemu_plugin_tb;
struct qemu_plugin_insn;

enum { QEMU_PLUGIN_CB_NO_REGS = 0, QEMU_PLUGIN_MEM_W = 2, QEMU_PLUGIN_INLINE_ADD_U64 = 0 };

void qemu_plugin_reset(uint64_t id, void (*f)(uint64_t));
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
					   void (*f)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *to,
					      uint64_t by);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op, void *to,
						uint64_t by);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*f)(unsigned int, void *), int flags,
					    void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
				      void (*f)(unsigned int, uint32_t, uint64_t, void *),
				      int flags, int access, void *data);
bool qemu_plugin_mem_is_store(uint32_t info);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
unsigned int qemu_plugin_mem_size_shift(uint32_t info);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

#define KERNEL		(UINT64_C(1) << 63)
#define BLOCKS_EACH	4096

/* One translation of a block of instructions; never freed: its code may come back. */
struct block {
	uint64_t address;
	uint64_t length;
	uint64_t count;
	uint64_t count_before;
};

struct counters {
	uint64_t fences;
	uint64_t flushes;
};

static struct block **blocks;
static size_t block_count;
static struct counters now, before;
static uint64_t stored_bytes, stores;
static uint64_t pmem_start, pmem_end;
static uint64_t plugin;
/* The machine is ready for it: until then it would only make the boot slow. */
static bool counting;
static bool inside;
static FILE *out;

static void die(const char *what)
{
	fprintf(stderr, "plugin: %s\n", what);
	exit(1);
}

static struct block *new_block(void)
{
	size_t chunk = block_count / BLOCKS_EACH;

	if (block_count % BLOCKS_EACH == 0) {
		blocks = realloc(blocks, (chunk + 1) * sizeof(*blocks));
		if (!blocks)
			die("no memory");
		blocks[chunk] = calloc(BLOCKS_EACH, sizeof(**blocks));
		if (!blocks[chunk])
			die("no memory");
	}
	return &blocks[chunk][block_count++ % BLOCKS_EACH];
}

static void begin(unsigned int cpu, void *data)
{
	(void)cpu, (void)data;
	for (size_t i = 0; i < block_count; i++) {
		struct block *block = &blocks[i / BLOCKS_EACH][i % BLOCKS_EACH];

		block->count_before = block->count;
	}
	before = now;
	stored_bytes = stores = 0;
	inside = true;
}

static void end(unsigned int cpu, void *data)
{
	(void)cpu, (void)data;
	inside = false;
	fprintf(out, "section %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", stored_bytes,
		stores, now.fences - before.fences, now.flushes - before.flushes);
	for (size_t i = 0; i < block_count; i++) {
		const struct block *block = &blocks[i / BLOCKS_EACH][i % BLOCKS_EACH];

		if (block->count != block->count_before)
			fprintf(out, "%" PRIx64 " %" PRIu64 " %" PRIu64 "\n", block->address,
				block->length, block->count - block->count_before);
	}
	fflush(out);
}

static void store(unsigned int cpu, uint32_t info, uint64_t address, void *data)
{
	(void)cpu, (void)data;
	/* Loads come here as well, with some versions. */
	if (inside && address >= pmem_start && address < pmem_end &&
	    qemu_plugin_mem_is_store(info)) {
		stored_bytes += 1u << qemu_plugin_mem_size_shift(info);
		stores++;
	}
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb);

static void start(uint64_t id)
{
	counting = true;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
}

/* All code is translated again, and then counted. */
static void ready(unsigned int cpu, void *data)
{
	(void)cpu, (void)data;
	if (!counting)
		qemu_plugin_reset(plugin, start);
}

/* nopl NUMBER | 0x3aec5b00(%rax) */
static void find_mark(struct qemu_plugin_insn *insn)
{
	static const uint8_t head[] = { 0x0f, 0x1f, 0x80 }, tail[] = { 0x5b, 0xec, 0x3a };
	static void (*const actions[])(unsigned int, void *) = { ready, begin, end };
	const uint8_t *code = qemu_plugin_insn_data(insn);

	if (qemu_plugin_insn_size(insn) != 7 || memcmp(code, head, 3) ||
	    memcmp(code + 4, tail, 3) || code[3] > 2)
		return;
	qemu_plugin_register_vcpu_insn_exec_cb(insn, actions[code[3]], QEMU_PLUGIN_CB_NO_REGS,
					       NULL);
}

/* sfence is 0f ae f8; clflushopt and clwb are 66 0f ae /7 and /6, with memory. */
static void find_fence(struct qemu_plugin_insn *insn)
{
	const uint8_t *code = qemu_plugin_insn_data(insn);
	size_t size = qemu_plugin_insn_size(insn);
	uint64_t *counter = NULL;

	if (size == 3 && code[0] == 0x0f && code[1] == 0xae && code[2] == 0xf8)
		counter = &now.fences;
	else if (size >= 4 && code[0] == 0x66) {
		const uint8_t *rest = code + 1 + ((code[1] & 0xf0) == 0x40);

		if (rest[0] == 0x0f && rest[1] == 0xae && (rest[2] >> 3 & 7) >= 6 &&
		    rest[2] >> 6 != 3)
			counter = &now.flushes;
	}
	if (counter)
		qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64,
							   counter, 1);
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t length = qemu_plugin_tb_n_insns(tb);
	struct block *block;

	(void)id;
	if (!counting && qemu_plugin_tb_vaddr(tb) >= KERNEL)
		return;
	if (qemu_plugin_tb_vaddr(tb) < KERNEL) {
		for (size_t i = 0; i < length; i++)
			find_mark(qemu_plugin_tb_get_insn(tb, i));
		return;
	}
	block = new_block();
	block->address = qemu_plugin_tb_vaddr(tb);
	block->length = length;
	qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &block->count, 1);
	for (size_t i = 0; i < length; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		find_fence(insn);
		qemu_plugin_register_vcpu_mem_cb(insn, store, QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_W, NULL);
	}
}

__attribute__((visibility("default")))
int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (!value)
			die("expected NAME=VALUE");
		*value++ = 0;
		if (!strcmp(argv[i], "out"))
			out = fopen(value, "w");
		else if (!strcmp(argv[i], "pmem"))
			pmem_start = strtoull(value, NULL, 0);
		else if (!strcmp(argv[i], "size"))
			pmem_end = strtoull(value, NULL, 0);
		else
			die("expected out, pmem and size");
	}
	if (!out)
		die("cannot write the file of out");
	pmem_end += pmem_start;
	plugin = id;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
