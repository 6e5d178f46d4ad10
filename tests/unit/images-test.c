// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Caches made by Linux's own dm-pcache: attached, read whole, written to,
 * detached, attached again. tests/images/mainline/README.md says what they are
 * and what must be read through each.
 *
 * Media and disk are in memory; while a read-only table is attached, that memory
 * cannot be written to.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host.h"
#include "pcache.h"

#define IMAGES		"tests/images/mainline"
#define CACHE_BYTES	SZ_512M
#define DISK_BYTES	SZ_64M
#define DISK_SECTORS	(DISK_BYTES >> SECTOR_SHIFT)
#define READ_SECTORS	2048
#define WRITES		3000

static struct host host;
static u8 *model;
static u8 *buf;
static struct host_random rnd;

/* Unpacks to memory that is zero; blocks of zeroes stay untouched. */
static void unpack(const char *dir, const char *name, const char *what, u8 *memory, size_t bytes)
{
	char command[512];
	size_t at = 0, n;
	FILE *f;

	snprintf(command, sizeof(command), "zstd -q -d -c --long=27 '%s/%s.%s.zst'", dir, name,
		 what);
	f = popen(command, "r");
	CHECK(f, "%s", command);
	while ((n = fread(buf, 1, READ_SECTORS << SECTOR_SHIFT, f)) > 0) {
		CHECK(at + n <= bytes, "%s is longer than %zu bytes", command, bytes);
		if (memchr_inv(buf, 0, n))
			memcpy(memory + at, buf, n);
		at += n;
	}
	CHECK(pclose(f) == 0, "%s failed (is zstd installed?)", command);
	CHECK_EQ(at, bytes);
}

/* Reads all of the device to @to. */
static void read_all(u8 *to)
{
	for (u32 at = 0; at < DISK_SECTORS; at += READ_SECTORS) {
		host_read(&host, at, buf, READ_SECTORS);
		memcpy(to + ((size_t)at << SECTOR_SHIFT), buf, READ_SECTORS << SECTOR_SHIFT);
	}
}

static void check_same(const char *what, const u8 *is, u32 sector, u32 sectors)
{
	for (u32 i = 0; i < sectors; i++, is += SECTOR_SIZE)
		CHECK(!memcmp(is, model + ((size_t)(sector + i) << SECTOR_SHIFT), SECTOR_SIZE),
		      "%s: sector %u is not as it was written", what, sector + i);
}

static void check_all(const char *what)
{
	for (u32 at = 0; at < DISK_SECTORS; at += READ_SECTORS) {
		host_read(&host, at, buf, READ_SECTORS);
		check_same(what, buf, at, READ_SECTORS);
	}
}

static void check_digest(const char *digest)
{
	char is[65];

	read_all(model);
	host_sha256(model, DISK_BYTES, is);
	CHECK(!strcmp(is, digest), "SHA-256 is %s, expected %s", is, digest);
}

static void protect(bool read_only)
{
	int prot = read_only ? PROT_READ : PROT_READ | PROT_WRITE;

	CHECK(!mprotect(host_pmem(&host), CACHE_BYTES, prot));
	CHECK(!mprotect(host_disk(&host), DISK_BYTES, prot));
}

static void read_only(const char *digest)
{
	struct host_status st;

	protect(true);
	host_attach_ro(&host, "");
	host_status(&host, &st);
	CHECK(!strcmp(st.state, "ro"), "%s", st.state);
	check_digest(digest);
	CHECK_EQ(dm_host_rw(dm_host_bdev(host.md), REQ_OP_WRITE, 0, buf, 1), (u64)-EROFS);
	host_detach(&host);
	protect(false);
}

static void random_writes(u32 nr)
{
	while (nr--) {
		u32 n = 1 + host_below(&rnd, host_chance(&rnd, 80) ? 16 : 512);
		u32 at = host_below(&rnd, DISK_SECTORS - n + 1);
		u8 *to = model + ((size_t)at << SECTOR_SHIFT);

		host_pattern(to, at, n, nr + 1);
		host_write(&host, at, to, n);
		if (host_chance(&rnd, 5))
			host_flush(&host);
		n = min(1 + (u32)host_below(&rnd, 64), DISK_SECTORS - at);
		host_read(&host, at, buf, n);
		check_same("while writing", buf, at, n);
	}
	host_flush(&host);
}

static void check_status(const char *crc)
{
	struct host_status st;

	host_status(&host, &st);
	CHECK(!strcmp(st.state, "rw"), "%s", st.state);
	CHECK(!strcmp(st.needs_check, "-"), "%s", st.needs_check);
	CHECK_EQ(st.cache_flags & PCACHE_INFO_DATA_CRC, !strcmp(crc, "true"));
	CHECK_EQ(st.media_errors + st.crc_errors + st.writeback_errors, 0);
}

static void test_image(const char *dir, const char *name, const char *crc, const char *digest)
{
	double begun = host_seconds();
	struct host_status st;

	host_section("%s", name);
	host_seed(&rnd, 7);
	host_open(&host, CACHE_BYTES, DISK_BYTES);
	unpack(dir, name, "pmem", host_pmem(&host), CACHE_BYTES);
	unpack(dir, name, "disk", host_disk(&host), DISK_BYTES);

	read_only(digest);
	host_attach(&host, "");
	check_digest(digest);
	random_writes(WRITES);
	check_all("after writing");
	check_status(crc);
	host_detach(&host);

	/* Attached read-only while it has ksets of both makers, then to be emptied. */
	protect(true);
	host_attach_ro(&host, "");
	check_all("attached again, read-only");
	host_detach(&host);
	protect(false);
	host_attach(&host, "2 writeback_order fast");
	check_all("attached again");
	random_writes(WRITES / 10);
	host_message(&host, "flush");
	check_same("backing device", host_disk(&host), 0, DISK_SECTORS);
	check_status(crc);
	host_detach(&host);

	host_attach(&host, "");
	host_status(&host, &st);
	CHECK_EQ(st.dirty_sectors, 0);
	check_all("attached a third time");
	host_detach(&host);
	host_close(&host);
	printf("images-test: %s, %.1f s\n", name, host_seconds() - begun);
}

/* Where a pair is; NULL: it is not at hand. */
static const char *find_pair(const char *name)
{
	const char *others = getenv("PCACHE_IMAGES") ?: "../shared/images";
	const char *dirs[] = { IMAGES, others };
	char path[512];

	for (u32 i = 0; i < ARRAY_SIZE(dirs); i++) {
		snprintf(path, sizeof(path), "%s/%s.pmem.zst", dirs[i], name);
		if (!access(path, R_OK))
			return dirs[i];
	}
	printf("images-test: %s is skipped, it is not in %s (PCACHE_IMAGES names its directory)\n",
	       name, others);
	return NULL;
}

int main(int argc, char **argv)
{
	char line[1024], name[64], crc[8], digest[65];
	u32 found = 0;
	FILE *f;

	host_begin("images-test");
	CHECK((model = malloc(DISK_BYTES)));
	CHECK(!posix_memalign((void **)&buf, PAGE_SIZE, READ_SECTORS << SECTOR_SHIFT));
	f = fopen(IMAGES "/README.md", "r");
	CHECK(f, IMAGES "/README.md: the test runs at the top of the tree");
	while (fgets(line, sizeof(line), f)) {
		const char *dir;

		if (sscanf(line, "| %63s | %7s | %*[^|]| `%64[0-9a-f]` |", name, crc, digest) != 3)
			continue;
		found++;
		if (argc > 1 && strcmp(argv[1], name))
			continue;
		dir = find_pair(name);
		if (dir)
			test_image(dir, name, crc, digest);
	}
	fclose(f);
	CHECK(found >= 4, "%u images in " IMAGES "/README.md", found);
	free(model);
	free(buf);
	return host_end();
}
