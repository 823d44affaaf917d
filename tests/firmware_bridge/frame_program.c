/* Reads lines "width npts channels sequence" and the samples, writes each frame's bytes as hex: bare, then stuffed. */
#include <stdio.h>

#include "seisedge_frame.h"

static int16_t narrow[8192];
static int32_t wide[8192];
static uint8_t bare[SE_FRAME_MAX_BYTES], stuffed[SE_FRAME_STUFFED_BYTES(SE_FRAME_MAX_BYTES)];

static void print(const uint8_t *data, size_t bytes)
{
    while (bytes--)
        printf("%02x", *data++);
    printf("\n");
}

int main(void)
{
    static const struct se_channel about[3] = {{'Z', SE_M_PER_S2, 5.985e-4f, 0}, {'N', SE_PA, 1.5f, -7}, {'E', SE_COUNTS, 1.0f, 70000}};
    unsigned width, npts, channels, sequence;
    while (scanf("%u %u %u %u", &width, &npts, &channels, &sequence) == 4) {
        struct se_frame frame = {0xa1b2c3d4e5f6u, 1600000000123456789, 0, 4000, 127, 0, 5, 0, 1, SE_CLOCK_SATELLITE, 12, about};
        size_t bytes, count = (size_t)npts * channels, i;
        frame.sequence = sequence;
        frame.npts = (uint16_t)npts;
        frame.channels = (uint8_t)channels;
        for (i = 0; i < count; i++) {
            long value;
            if (scanf("%ld", &value) != 1)
                return 1;
            wide[i] = (int32_t)value;
            narrow[i] = (int16_t)value;
        }
        bytes = width == 2u ? se_frame_write_i16(&frame, narrow, bare, sizeof bare)
                            : se_frame_write_i32(&frame, wide, width, bare, sizeof bare);
        print(bare, bytes);
        print(stuffed, se_frame_stuff(bare, bytes, stuffed, sizeof stuffed));
    }
    printf("%08x\n", (unsigned)se_crc32c((const uint8_t *)"123456789", 9));
    return 0;
}
