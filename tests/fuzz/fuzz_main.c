/* Replays inputs through a fuzz target, without libFuzzer: each file, and each file of each directory, named on the command line. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    long size = -1;

    if (f && fseek(f, 0, SEEK_END) == 0) size = ftell(f);
    if (size < 0) {
        fprintf(stderr, "%s: cannot be read\n", path);
        if (f) fclose(f);
        return -1;
    }
    rewind(f);
    uint8_t *data = malloc((size_t)size ? (size_t)size : 1); /* exactly: the sanitizer sees a read past the end */
    size_t n = fread(data, 1, (size_t)size, f);
    fclose(f);
    LLVMFuzzerTestOneInput(data, n);
    free(data);
    return 1;
}

static int visible(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static int replay(const char *path)
{
    struct dirent **entries;
    int n = scandir(path, &entries, visible, alphasort), rc = 1;

    if (n < 0) return replay_file(path);
    for (int i = 0; i < n; i++) {
        char inner[4096];
        snprintf(inner, sizeof(inner), "%s/%s", path, entries[i]->d_name);
        if (rc > 0) rc = replay_file(inner);
        free(entries[i]);
    }
    free(entries);
    return rc < 0 ? rc : n;
}

int main(int argc, char **argv)
{
    int total = 0;

    for (int i = 1; i < argc; i++) {
        int n = replay(argv[i]);
        if (n < 0) return 2;
        total += n;
    }
    printf("%d inputs\n", total);
    return total == 0; /* a corpus that got lost would otherwise pass */
}
