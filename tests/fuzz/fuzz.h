// The fuzz targets, for libFuzzer and for the project's own mutator.
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "protocol/codec.h"

// libFuzzer's entry: 0; aborts when something is wrong.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CODEC_HEADER_BYTES 3

// The bytes in front of a body that make fuzz_codec take it for this message. Returns their number.
size_t fuzz_codec_header(const struct message_type *type, int16_t version,
                         uint8_t out[FUZZ_CODEC_HEADER_BYTES]);

#endif
