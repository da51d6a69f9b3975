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

static int replay(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int n = 0;

    if (!dir) return replay_file(path);
    while ((entry = readdir(dir))) {
        char inner[4096];
        if (entry->d_name[0] == '.') continue;
        snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
        int rc = replay_file(inner);
        if (rc < 0) n = rc;
        if (n < 0) break;
        n += rc;
    }
    closedir(dir);
    return n;
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
