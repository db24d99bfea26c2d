/* Every call of the header, with what is right and what is wrong; ends with 0 if all is as the header says.
 *
 * api SOCKET: standard input and output are those of the test, which publishes when this asks it to. */
#include <mos_frame.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not true: %s (%s)\n", __FILE__, __LINE__, #condition, mos_last_error());           \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* Lets the test publish, and waits until it has. */
static void publish(int frames) {
    char line[64];
    printf("publish %d\n", frames);
    fflush(stdout);
    CHECK(fgets(line, sizeof line, stdin) != NULL && strncmp(line, "published", 9) == 0);
}

static void nulls(void) {
    mos_subscriber *subscriber = (mos_subscriber *)1;
    mos_frame *frame = (mos_frame *)1;
    char *json = (char *)1;

    CHECK(mos_subscriber_connect(NULL, NULL, &subscriber) == MOS_ERR_ARGUMENT && subscriber == NULL);
    CHECK(mos_subscriber_connect("front", NULL, NULL) == MOS_ERR_ARGUMENT);
    CHECK(mos_subscriber_connect("", NULL, &subscriber) == MOS_ERR_ARGUMENT);
    CHECK(mos_subscriber_next(NULL, 0, &frame) == MOS_ERR_ARGUMENT && frame == NULL);
    CHECK(mos_subscriber_next(NULL, 0, NULL) == MOS_ERR_ARGUMENT);
    CHECK(mos_subscriber_latest(NULL, 0, &frame) == MOS_ERR_ARGUMENT);
    CHECK(mos_subscriber_fd(NULL) == -1);
    CHECK(!mos_subscriber_is_connected(NULL));
    CHECK(mos_subscriber_get_stats(NULL, NULL) == MOS_ERR_ARGUMENT);
    mos_subscriber_close(NULL);
    CHECK(mos_frame_ref(NULL) == NULL);
    mos_frame_unref(NULL);
    CHECK(mos_frame_get_info(NULL, NULL) == MOS_ERR_ARGUMENT);
    CHECK(mos_frame_get_format(NULL, NULL) == MOS_ERR_ARGUMENT);
    CHECK(mos_frame_get_plane(NULL, 0, NULL) == MOS_ERR_ARGUMENT);
    CHECK(!mos_frame_is_valid(NULL));
    CHECK(mos_inspect(NULL, 100, &json) == MOS_ERR_ARGUMENT && json == NULL);
    CHECK(mos_inspect("front", 100, NULL) == MOS_ERR_ARGUMENT);
    mos_string_free(NULL);
    CHECK(strstr(mos_last_error(), "json is NULL") != NULL);
    CHECK(strcmp(mos_status_name(MOS_ERR_ARGUMENT), "MOS_ERR_ARGUMENT") == 0);
#ifdef MOS_FRAME_CPU_ACCESS
    mos_mapping *mapping = (mos_mapping *)1;
    const uint8_t *data = NULL;
    size_t size = 0;
    CHECK(mos_frame_map(NULL, &mapping) == MOS_ERR_ARGUMENT && mapping == NULL);
    CHECK(mos_mapping_get_plane(NULL, 0, &data, &size) == MOS_ERR_ARGUMENT);
    mos_mapping_unmap(NULL);
#endif
}

static void versions(void) {
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", MOS_VERSION_MAJOR, MOS_VERSION_MINOR, MOS_VERSION_PATCH);
    CHECK(strcmp(mos_version_text(), text) == 0);
    CHECK(mos_version() == (MOS_VERSION_MAJOR << 16 | MOS_VERSION_MINOR << 8 | MOS_VERSION_PATCH));
#ifdef MOS_FRAME_CPU_ACCESS
    CHECK(mos_has_cpu_access());
#else
    CHECK(!mos_has_cpu_access());
#endif
}

static void refusals(const char *socket) {
    mos_subscriber *subscriber = NULL;
    mos_subscriber_options greedy = {.struct_size = sizeof greedy, .hold = 60};
    CHECK(mos_subscriber_connect(socket, &greedy, &subscriber) == MOS_ERR_REFUSED && subscriber == NULL);
    CHECK(mos_last_reason() == MOS_REASON_OVER_BUDGET);
    mos_subscriber_options flags = {.flags = 0x80};
    CHECK(mos_subscriber_connect(socket, &flags, &subscriber) == MOS_ERR_ARGUMENT);
    mos_subscriber_options size = {.struct_size = 3};
    CHECK(mos_subscriber_connect(socket, &size, &subscriber) == MOS_ERR_ARGUMENT);
    CHECK(strstr(mos_last_error(), "sizeof(mos_subscriber_options)") != NULL);
    mos_subscriber_options none = {.hold = MOS_HOLD_NONE};
    CHECK(mos_subscriber_connect(socket, &none, &subscriber) == MOS_ERR_REFUSED);
    CHECK(mos_last_reason() == MOS_REASON_HOLD_ZERO);
    CHECK(mos_subscriber_connect("/nowhere/x.sock", NULL, &subscriber) == MOS_ERR_NOT_FOUND);
}

static void frames(mos_subscriber *subscriber) {
    mos_frame *frame = NULL, *second = NULL;
    CHECK(mos_subscriber_next(subscriber, 0, &frame) == MOS_AGAIN && frame == NULL);
    CHECK(mos_subscriber_next(subscriber, 1, &frame) == MOS_AGAIN);
    CHECK(mos_subscriber_latest(subscriber, 1, &frame) == MOS_AGAIN);
    publish(1);
    struct pollfd wait = {.fd = mos_subscriber_fd(subscriber), .events = POLLIN};
    CHECK(mos_subscriber_next(subscriber, 0, &frame) == MOS_OK);

    mos_frame_info info = {.struct_size = sizeof info};
    CHECK(mos_frame_get_info(frame, &info) == MOS_OK);
    CHECK(info.seq == 1 && info.epoch == 1 && info.session != 0 && info.plane_count == 2);
    CHECK(info.clock_source == MOS_CLOCK_DRIVER && info.clock_error_ns == 500);
    CHECK(info.pts_ns == 1000 && info.wall_ns == MOS_TIME_NONE && info.capture_ns < info.publish_ns);
    CHECK(info.flags == MOS_FRAME_DISCONT && info.struct_size == sizeof info);
    mos_frame_info unset = {.struct_size = 0};
    CHECK(mos_frame_get_info(frame, &unset) == MOS_ERR_ARGUMENT);
    CHECK(mos_frame_get_info(frame, NULL) == MOS_ERR_ARGUMENT);

    mos_format format = {.struct_size = sizeof format};
    CHECK(mos_frame_get_format(frame, &format) == MOS_OK);
    CHECK(format.width == 62 && format.height == 46 && format.fourcc == MOS_FOURCC_NV12 && format.modifier == 0);
    CHECK(format.framerate_num == 30 && format.framerate_den == 1 && format.memory == MOS_MEMORY_MEMFD);
    CHECK(strcmp((const char *)format.colorimetry, "bt709") == 0 && !format.read_only);

    mos_plane plane = {.struct_size = sizeof plane};
    CHECK(mos_frame_get_plane(frame, 1, &plane) == MOS_OK);
    CHECK(plane.offset == 8192 && plane.stride == 64 && plane.size == 64 * 23 && plane.fd_index == 0);
    uint8_t pixels[4] = {0};
    CHECK(pread(plane.fd, pixels, 4, (off_t)plane.offset) == 4);
    CHECK(memcmp(pixels, (uint8_t[]){2, 3, 2, 3}, 4) == 0);
    CHECK(mos_frame_get_plane(frame, 2, &plane) == MOS_ERR_ARGUMENT);
    CHECK(strstr(mos_last_error(), "the frame has 2") != NULL);
    CHECK(mos_frame_is_valid(frame));

    /* One hold was asked for. */
    publish(3);
    CHECK(mos_subscriber_next(subscriber, 0, &second) == MOS_ERR_HOLD_LIMIT && second == NULL);
    CHECK(mos_frame_ref(frame) == frame);
    mos_frame_unref(frame);
    CHECK(mos_subscriber_next(subscriber, 0, &second) == MOS_ERR_HOLD_LIMIT);
    mos_frame_unref(frame);
    /* A window of 2: of frames 2, 3 and 4 the first is gone. */
    CHECK(mos_subscriber_next(subscriber, -1, &frame) == MOS_OK);
    CHECK(mos_frame_get_info(frame, &info) == MOS_OK && info.seq == 3 && info.flags == 0);
    mos_frame_unref(frame);
    publish(1);
    CHECK(poll(&wait, 1, 0) >= 0);
    CHECK(mos_subscriber_latest(subscriber, -1, &frame) == MOS_OK);
    CHECK(mos_frame_get_info(frame, &info) == MOS_OK && info.seq == 5);
    mos_frame_unref(frame);
    CHECK(mos_subscriber_next(subscriber, 0, &frame) == MOS_AGAIN);
    publish(1);
    CHECK(poll(&wait, 1, 60000) == 1 && mos_subscriber_next(subscriber, 1000, &frame) == MOS_OK);
    mos_frame_unref(frame);

    mos_subscriber_stats stats = {.struct_size = sizeof stats};
    CHECK(mos_subscriber_get_stats(subscriber, &stats) == MOS_OK);
    CHECK(stats.received == 4 && stats.missed == 2 && stats.gaps == 2 && stats.reconnects == 0);
    CHECK(mos_subscriber_is_connected(subscriber));
}

static void pixels(mos_subscriber *subscriber) {
#ifdef MOS_FRAME_CPU_ACCESS
    mos_frame *frame = NULL;
    mos_mapping *mapping = NULL;
    const uint8_t *data = NULL;
    size_t size = 0;
    publish(1);
    CHECK(mos_subscriber_next(subscriber, 0, &frame) == MOS_OK);
    CHECK(mos_frame_map(frame, NULL) == MOS_ERR_ARGUMENT);
    CHECK(mos_frame_map(frame, &mapping) == MOS_OK);
    mos_frame_info info = {.struct_size = sizeof info};
    CHECK(mos_frame_get_info(frame, &info) == MOS_OK);
    /* The mapping holds the frame by itself. */
    mos_frame_unref(frame);
    publish(40);
    CHECK(mos_mapping_get_plane(mapping, 0, &data, &size) == MOS_OK && size == 64 * 46);
    CHECK(data[0] == info.seq % 200 && data[45 * 64 + 61] == (info.seq + 45) % 200);
    CHECK(mos_mapping_get_plane(mapping, 1, &data, &size) == MOS_OK && data[0] == (info.seq + 1) % 200);
    CHECK(mos_mapping_get_plane(mapping, 2, &data, &size) == MOS_ERR_ARGUMENT);
    CHECK(mos_mapping_get_plane(mapping, 0, NULL, &size) == MOS_ERR_ARGUMENT);
    CHECK(mos_subscriber_next(subscriber, 0, &frame) == MOS_ERR_HOLD_LIMIT);
    mos_mapping_unmap(mapping);
    CHECK(mos_subscriber_next(subscriber, 0, &frame) == MOS_OK);
    mos_frame_unref(frame);
#else
    (void)subscriber;
#endif
}

static void *wait_for_frame(void *argument) {
    mos_frame *frame = NULL;
    mos_status status;
    do /* the other may be in its call just now */
        status = mos_subscriber_next(argument, 60000, &frame);
    while (status == MOS_ERR_BUSY);
    mos_frame_unref(frame);
    return status == MOS_OK ? argument : NULL;
}

/* Two threads in one subscriber: the second is told. */
static void threads(mos_subscriber *subscriber) {
    mos_frame *frame = NULL;
    while (mos_subscriber_next(subscriber, 0, &frame) == MOS_OK)
        mos_frame_unref(frame);
    pthread_t thread;
    void *result = NULL;
    CHECK(pthread_create(&thread, NULL, wait_for_frame, subscriber) == 0);
    mos_subscriber_stats stats = {.struct_size = sizeof stats};
    while (mos_subscriber_get_stats(subscriber, &stats) == MOS_OK)
        ; /* until the other is in its wait */
    CHECK(mos_subscriber_get_stats(subscriber, &stats) == MOS_ERR_BUSY);
    publish(1);
    CHECK(pthread_join(thread, &result) == 0 && result == subscriber);
}

static void inspection(const char *socket, const char *name) {
    char *json = NULL;
    CHECK(mos_inspect(socket, 60000, &json) == MOS_OK);
    CHECK(json[0] == '{' && strstr(json, name) != NULL && strstr(json, "\"published\"") != NULL);
    mos_string_free(json);
    CHECK(mos_inspect("/nowhere/x.sock", 100, &json) == MOS_ERR_NOT_FOUND && json == NULL);
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    versions();
    nulls();
    refusals(argv[1]);
    mos_subscriber_options options = {.struct_size = sizeof options, .name = "api.c", .flags = MOS_NO_RECONNECT};
    mos_subscriber *subscriber = NULL;
    CHECK(mos_subscriber_connect(argv[1], &options, &subscriber) == MOS_OK);
    frames(subscriber);
    pixels(subscriber);
    threads(subscriber);
    inspection(argv[1], "\"api.c\"");
    publish(1);
    mos_frame *last = NULL;
    CHECK(mos_subscriber_next(subscriber, 1000, &last) == MOS_OK);
    mos_subscriber_close(subscriber);
    CHECK(mos_frame_is_valid(last));
    mos_frame_unref(last);
    mos_subscriber_options later = {.flags = MOS_AWAIT_STREAM};
    CHECK(mos_subscriber_connect("/nowhere/x.sock", &later, &subscriber) == MOS_OK);
    CHECK(!mos_subscriber_is_connected(subscriber));
    CHECK(mos_subscriber_next(subscriber, 1, &last) == MOS_AGAIN);
    mos_subscriber_close(subscriber);
    return 0;
}
