/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_STRING_H
#define SHIM_LINUX_STRING_H

#include <string.h>
#include <strings.h>
#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/types.h>
#include <shim/port-types.h>

ssize_t strscpy(char *dst, const char *src, size_t size);
ssize_t strscpy_pad(char *dst, const char *src, size_t size);
void *memchr_inv(const void *p, int c, size_t len);
char *strim(char *s);
char *skip_spaces(const char *s);
char *strreplace(char *s, char old, char new);
bool sysfs_streq(const char *a, const char *b);
int match_string(const char *const *array, size_t n, const char *string);
const char *kbasename(const char *path);

static inline size_t str_has_prefix(const char *s, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(s, prefix, len) == 0 ? len : 0;
}

static inline bool strstarts(const char *s, const char *prefix)
{
	return str_has_prefix(s, prefix) != 0;
}

static inline bool mem_is_zero(const void *p, size_t len)
{
	return !memchr_inv(p, 0, len);
}

#define memset_after(obj, v, member)					\
({									\
	u8 *__ma_p = (u8 *)(obj);					\
	size_t __ma_off = offsetofend(__typeof__(*(obj)), member);	\
	memset(__ma_p + __ma_off, v, sizeof(*(obj)) - __ma_off);	\
})
#define memzero_explicit(p, n) memset(p, 0, n)

/* Past the CPU's caches; durable after the next pmem_wmb(). */
static inline void memcpy_flushcache(void *dst, const void *src, size_t n)
{
	port_pmem_store(dst, src, n);
}

#include <linux/slab.h>
#include <linux/stddef.h>

#endif
