/* Receives frames of a stream and prints what they are.
 *
 *     cc receive.c -o receive $(pkg-config --cflags --libs mos-frame)
 *     ./receive front 100
 */
#include <mos_frame.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, mos_last_error());
    return EXIT_FAILURE;
}

#ifdef MOS_FRAME_CPU_ACCESS
/* The mean of the luma plane: what a program that really looks at the pixels would do. Development builds only. */
static int mean_luma(mos_frame *frame, const mos_format *format, double *mean) {
    mos_plane plane = {.struct_size = sizeof plane};
    mos_mapping *mapping = NULL;
    const uint8_t *data = NULL;
    size_t size = 0;
    uint64_t sum = 0;

    if (mos_frame_get_plane(frame, 0, &plane) != MOS_OK || mos_frame_map(frame, &mapping) != MOS_OK)
        return -1;
    if (mos_mapping_get_plane(mapping, 0, &data, &size) != MOS_OK) {
        mos_mapping_unmap(mapping);
        return -1;
    }
    for (uint32_t y = 0; y < format->height; y++)
        for (uint32_t x = 0; x < format->width; x++)
            sum += data[(size_t)y * plane.stride + x];
    mos_mapping_unmap(mapping);
    *mean = (double)sum / ((double)format->width * format->height);
    return 0;
}
#endif

static int show(mos_frame *frame) {
    mos_frame_info info = {.struct_size = sizeof info};
    mos_format format = {.struct_size = sizeof format};

    if (mos_frame_get_info(frame, &info) != MOS_OK || mos_frame_get_format(frame, &format) != MOS_OK)
        return -1;
    printf("frame %" PRIu64 ": %" PRIu32 "x%" PRIu32 " %.4s, published %" PRIu64 " us after its capture", info.seq,
           format.width, format.height, (const char *)&format.fourcc, (info.publish_ns - info.capture_ns) / 1000);
    for (uint32_t i = 0; i < info.plane_count; i++) {
        mos_plane plane = {.struct_size = sizeof plane};
        if (mos_frame_get_plane(frame, i, &plane) != MOS_OK)
            return -1;
        printf(", plane %" PRIu32 " fd %" PRId32 " offset %" PRIu64 " stride %" PRIu32, i, plane.fd, plane.offset,
               plane.stride);
    }
#ifdef MOS_FRAME_CPU_ACCESS
    double mean = 0;
    if (mean_luma(frame, &format, &mean) != 0)
        return -1;
    printf(", mean luma %.1f", mean);
#endif
    printf("\n");
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: %s STREAM [FRAMES]\n", argv[0]);
        return 2;
    }
    long frames = argc > 2 ? strtol(argv[2], NULL, 10) : 100;

    mos_subscriber_options options = {.struct_size = sizeof options, .name = "receive.c"};
    mos_subscriber *subscriber = NULL;
    if (mos_subscriber_connect(argv[1], &options, &subscriber) != MOS_OK)
        return fail("connect");
    int result = EXIT_SUCCESS;
    for (long i = 0; i < frames && result == EXIT_SUCCESS; i++) {
        mos_frame *frame = NULL;
        if (mos_subscriber_next(subscriber, -1, &frame) != MOS_OK || show(frame) != 0)
            result = fail("receive");
        mos_frame_unref(frame);
    }
    mos_subscriber_stats stats = {.struct_size = sizeof stats};
    if (mos_subscriber_get_stats(subscriber, &stats) == MOS_OK)
        printf("received %" PRIu64 ", missed %" PRIu64 "\n", stats.received, stats.missed);
    mos_subscriber_close(subscriber);
    return result;
}
