# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# dm-pcache with data_crc.

# shellcheck source=bench/targets/pcache/target.sh
. ./targets/pcache/target.sh
DATA_CRC=true
