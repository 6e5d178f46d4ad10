/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_BITFIELD_H
#define SHIM_LINUX_BITFIELD_H

#include <linux/build_bug.h>
#include <linux/bits.h>

#define shim_bf_shift(mask) (__builtin_ffsll(mask) - 1)
#define FIELD_MAX(mask) ((__typeof__(mask))((mask) >> shim_bf_shift(mask)))
#define FIELD_FIT(mask, val) \
	(!((((__typeof__(mask))(val)) << shim_bf_shift(mask)) & ~(mask)))
#define FIELD_PREP(mask, val) \
	((((__typeof__(mask))(val)) << shim_bf_shift(mask)) & (mask))
#define FIELD_GET(mask, reg) \
	((__typeof__(mask))(((reg) & (mask)) >> shim_bf_shift(mask)))
#define FIELD_PREP_CONST(mask, val) FIELD_PREP(mask, val)

#endif
