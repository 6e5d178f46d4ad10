/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_UNALIGNED_H
#define SHIM_LINUX_UNALIGNED_H

#include <asm/byteorder.h>
#include <linux/types.h>

#define shim_unaligned(name, type)					\
static inline type get_unaligned_##name(const void *p)			\
{									\
	struct { type v; } __attribute__((__packed__)) const *u = p;	\
	return u->v;							\
}									\
static inline void put_unaligned_##name(type v, void *p)		\
{									\
	struct { type v; } __attribute__((__packed__)) *u = p;		\
	u->v = v;							\
}

shim_unaligned(le16, u16)
shim_unaligned(le32, u32)
shim_unaligned(le64, u64)

#define get_unaligned(p)						\
({									\
	struct { __typeof__(*(p)) v; } __attribute__((__packed__))	\
		const *__gu_p = (const void *)(p);			\
	__gu_p->v;							\
})
#define put_unaligned(val, p)						\
do {									\
	struct { __typeof__(*(p)) v; } __attribute__((__packed__))	\
		*__pu_p = (void *)(p);					\
	__pu_p->v = (val);						\
} while (0)

#endif
