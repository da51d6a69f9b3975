/* CRC-32C by ISA-L, which picks the machine's best way at run time, but for a few bytes, and where the processor has an instruction for it, by that.
 *
 * ISA-L's way on newer processors uses their widest registers. Switched off while nobody uses them, these take most of a microsecond to be of use
 * again, which is more than the checksum of a small batch itself.
 *
 * ISA-L takes and gives the bare register; the checksum everybody else means is inverted before and after. Its length is an int.
 */
#include <isa-l/crc.h>
#include <odradek/base.h>

enum { FEW = 512 };

static uint32_t many(uint32_t reg, const uint8_t *at, size_t n)
{
    while (n > 0) {
        size_t part = MIN(n, (size_t)GiB);
        reg = crc32_iscsi((unsigned char *)(uintptr_t)at, (int)part, reg); /* ISA-L forgot the const */
        at += part;
        n -= part;
    }
    return reg;
}

#ifdef __x86_64__
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t few(uint32_t reg, const uint8_t *at, size_t n)
{
    uint64_t r = reg;
    for (; n >= 8; n -= 8, at += 8) {
        uint64_t v;
        memcpy(&v, at, sizeof(v));
        r = _mm_crc32_u64(r, v);
    }
    for (reg = (uint32_t)r; n > 0; n--) reg = _mm_crc32_u8(reg, *at++);
    return reg;
}
static bool has_instruction(void) { return __builtin_cpu_supports("sse4.2"); }
#else
static uint32_t few(uint32_t reg, const uint8_t *at, size_t n) { return many(reg, at, n); }
static bool has_instruction(void) { return false; }
#endif

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
    return ~(n < FEW && has_instruction() ? few(~crc, p, n) : many(~crc, p, n));
}
