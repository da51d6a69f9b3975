/* What a fuzz target defines: returns 0, or dies. The same inputs are replayed by fuzz_main.c where there is no libFuzzer. */
#pragma once
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
