/* Makes fuzz_wire's corpus from vectors.
 *
 *     wire_corpus VECTORS DIR STEP      every STEP-th vector as a file of DIR, which is created */
#include "vectors.h"

#include <stdlib.h>
#include <sys/stat.h>

static uint16_t index_of(const struct wire_msg *m)
{
    uint16_t i = 0;
    while (wire_msg_at(i) != m) i++;
    return i;
}

int main(int argc, char **argv)
{
    struct vectors vs;
    long step;

    if (argc != 4 || (step = strtol(argv[3], NULL, 10)) <= 0 || !vectors_load(&vs, argv[1])) return 2;
    mkdir(argv[2], 0755);
    for (int i = 0; i < vs.n; i += (int)step) {
        const struct vector *v = &vs.v[i];
        uint8_t head[4];
        char path[4096];
        FILE *f;

        if (!v->msg) continue;
        put_be16(head, index_of(v->msg));
        put_be16(head + 2, (uint16_t)(v->version - v->msg->min));
        snprintf(path, sizeof(path), "%s/%s-%d-%d", argv[2], v->name, v->version, i);
        f = fopen(path, "wb");
        if (!f || fwrite(head, 1, 4, f) != 4 || fwrite(v->bytes.p, 1, v->bytes.n, f) != v->bytes.n || fclose(f)) {
            fprintf(stderr, "%s: cannot be written\n", path);
            return 1;
        }
    }
    vectors_free(&vs);
    for (int i = 0; i < 2; i++) mem_pool_trim();
    return 0;
}
