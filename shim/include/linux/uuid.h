/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_UUID_H
#define SHIM_LINUX_UUID_H

#include <linux/string.h>
#include <linux/types.h>

#define UUID_SIZE 16
#define UUID_STRING_LEN 36

typedef struct {
	u8 b[UUID_SIZE];
} uuid_t;
typedef uuid_t guid_t;

void generate_random_uuid(unsigned char uuid[16]);
void uuid_gen(uuid_t *u);

static inline bool uuid_equal(const uuid_t *a, const uuid_t *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static inline bool uuid_is_null(const uuid_t *u)
{
	return mem_is_zero(u, sizeof(*u));
}

static inline void uuid_copy(uuid_t *dst, const uuid_t *src) { *dst = *src; }

#endif
