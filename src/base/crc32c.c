/* CRC-32C by ISA-L, which picks the machine's best way at run time.
 *
 * ISA-L takes and gives the bare register; the checksum everybody else means is inverted before and after. Its length is an int.
 */
#include <isa-l/crc.h>
#include <odradek/base.h>

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
    unsigned char *at = (unsigned char *)(uintptr_t)p; /* ISA-L forgot the const */
    uint32_t reg = ~crc;
    while (n > 0) {
        size_t part = MIN(n, (size_t)GiB);
        reg = crc32_iscsi(at, (int)part, reg);
        at += part;
        n -= part;
    }
    return ~reg;
}
