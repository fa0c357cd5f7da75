/* Integers that may stand at any address, as the floating-point types of arithmetic.h may. */
#ifndef FASTLOGIT_NUMBERS_H
#define FASTLOGIT_NUMBERS_H

#include <stdint.h>

#if defined(__GNUC__)
#define FASTLOGIT_ANYWHERE __attribute__((aligned(1)))
#else
#define FASTLOGIT_ANYWHERE
#endif
typedef int8_t fastlogit_int8;
typedef uint8_t fastlogit_uint8;
typedef int16_t fastlogit_int16 FASTLOGIT_ANYWHERE;
typedef uint16_t fastlogit_uint16 FASTLOGIT_ANYWHERE;
typedef int32_t fastlogit_int32 FASTLOGIT_ANYWHERE;
typedef uint32_t fastlogit_uint32 FASTLOGIT_ANYWHERE;
typedef int64_t fastlogit_int64 FASTLOGIT_ANYWHERE;
typedef uint64_t fastlogit_uint64 FASTLOGIT_ANYWHERE;

#endif
