/* Bare-metal program of frame_cost.py: writes FRAMES frames of NPTS x CHANNELS samples, then ends the emulator. */
#include "seisedge_frame.h"

#define WIDE (WIDTH != 2)

static uint8_t bare[4096], stuffed[4200];
static int16_t narrow[1024];
static int32_t wide[1024];

static int work(void)
{
    static const struct se_channel about[3] = {{'Z', 1, 5.985e-4f, 0}, {'N', 1, 5.985e-4f, 0}, {'E', 1, 5.985e-4f, 0}};
    struct se_frame frame = {1, 1600000000000000000, 0, 100, 1, NPTS, 0, CHANNELS, 0, 2, 255, about};
    uint32_t state = 1;
    size_t bytes = 0;
    int i;
    for (i = 0; i < NPTS * CHANNELS; i++) { /* a sensor at rest: 1 g on the first axis, some noise */
        state = state * 1103515245u + 12345u;
        narrow[i] = (int16_t)((int)(state >> 16 & 255u) - 128 + (i % 3 == 0 ? 16384 : 0));
        wide[i] = narrow[i];
    }
    for (i = 0; i < FRAMES; i++) {
        bytes = WIDE ? se_frame_write_i32(&frame, wide, WIDTH, bare, sizeof bare)
                     : se_frame_write_i16(&frame, narrow, bare, sizeof bare);
        if (STUFF)
            bytes = se_frame_stuff(bare, bytes, stuffed, sizeof stuffed);
    }
    return bytes == 0;
}

static void start(void)
{
    static const uint32_t done = 0x20026u; /* ADP_Stopped_ApplicationExit */
    register uint32_t call __asm__("r0") = 0x18u, why __asm__("r1") = done;
    work();
    __asm__ volatile("bkpt 0xab" : : "r"(call), "r"(why));
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[2] = {0x20010000u, (uintptr_t)start};
