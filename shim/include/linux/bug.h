/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_BUG_H
#define SHIM_LINUX_BUG_H

#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/types.h>

void shim_bug(const char *fmt, ...) __printf(1, 2) __noreturn __cold;
void shim_warn(const char *file, int line, const char *fmt, ...)
	__printf(3, 4) __cold;

#define BUG() shim_bug("BUG at %s:%d", __FILE__, __LINE__)
#define BUG_ON(cond)							\
do {									\
	if (unlikely(cond))						\
		shim_bug("BUG_ON(%s) at %s:%d", #cond, __FILE__, __LINE__); \
} while (0)

#define WARN(cond, ...)							\
({									\
	bool __warn = !!(cond);						\
	if (unlikely(__warn))						\
		shim_warn(__FILE__, __LINE__, __VA_ARGS__);		\
	unlikely(__warn);						\
})
#define WARN_ON(cond) WARN(cond, "WARN_ON(%s)\n", #cond)
#define WARN_ONCE(cond, ...)						\
({									\
	static bool __warned;						\
	bool __warn1 = !!(cond);					\
	if (unlikely(__warn1) &&					\
	    !__atomic_exchange_n(&__warned, true, __ATOMIC_RELAXED))	\
		shim_warn(__FILE__, __LINE__, __VA_ARGS__);		\
	unlikely(__warn1);						\
})
#define WARN_ON_ONCE(cond) WARN_ONCE(cond, "WARN_ON_ONCE(%s)\n", #cond)

#endif
