// How Java (snappy-java's streams) frames snappy: a header of 16 bytes, then blocks of raw snappy, each with
// its compressed length as a big-endian int32 in front. Private to compress.c and decompress.c.
#ifndef STORAGE_SNAPPY_FRAMING_H
#define STORAGE_SNAPPY_FRAMING_H

#define SNAPPY_HEADER_BYTES 16
#define SNAPPY_MAGIC_BYTES  8
#define SNAPPY_BLOCK_BYTES  32768 // before compression, as Java writes them; any size is read

// The magic, version 1, readable by version 1.
#define SNAPPY_HEADER                                                 \
    {                                                                 \
        0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1 \
    }

// What the length in front of a block reads as where a new header follows instead (concatenated streams).
#define SNAPPY_MAGIC_AS_LENGTH 0x82534e41u

// A raw block's own header says how much it unfolds to. Its densest element makes 64 bytes of 3, so that
// nothing honest says more than this many times its size.
#define SNAPPY_MAX_RATIO 22

#endif
