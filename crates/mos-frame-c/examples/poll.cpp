// Receives the newest frame of each of several streams in one event loop, with handles that let go by themselves.
//
//     c++ -std=c++17 poll.cpp -o poll $(pkg-config --cflags --libs mos-frame)
//     ./poll 100 front yard
#include <mos_frame.h>

#include <poll.h>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Close {
    void operator()(mos_subscriber *subscriber) const noexcept { mos_subscriber_close(subscriber); }
    void operator()(mos_frame *frame) const noexcept { mos_frame_unref(frame); }
};
using Subscriber = std::unique_ptr<mos_subscriber, Close>;
using Frame = std::unique_ptr<mos_frame, Close>;

void check(mos_status status) {
    if (status != MOS_OK)
        throw std::runtime_error(std::string(mos_status_name(status)) + ": " + mos_last_error());
}

Subscriber connect(const char *stream) {
    mos_subscriber_options options{};
    options.struct_size = sizeof options;
    options.name = "poll.cpp";
    options.window = 1;  // only the newest frame is of interest
    mos_subscriber *subscriber = nullptr;
    check(mos_subscriber_connect(stream, &options, &subscriber));
    return Subscriber(subscriber);
}

// The newest frame, or nothing if there is none that was not given before.
Frame latest(const Subscriber &subscriber) {
    mos_frame *frame = nullptr;
    const mos_status status = mos_subscriber_latest(subscriber.get(), 0, &frame);
    if (status != MOS_AGAIN)
        check(status);
    return Frame(frame);
}

void show(const char *stream, const Frame &frame) {
    mos_frame_info info{};
    info.struct_size = sizeof info;
    check(mos_frame_get_info(frame.get(), &info));
    mos_plane luma{};
    luma.struct_size = sizeof luma;
    check(mos_frame_get_plane(frame.get(), 0, &luma));
    std::cout << stream << ": frame " << info.seq << ", buffer " << info.buffer_id << ", fd " << luma.fd << '\n';
}

}  // namespace

int main(int argc, char **argv) {
    if (argc < 3) {
        std::cerr << "usage: " << argv[0] << " FRAMES STREAM...\n";
        return 2;
    }
    try {
        const std::vector<char *> names(argv + 2, argv + argc);
        std::vector<Subscriber> subscribers;
        std::vector<pollfd> waits;
        for (const char *name : names) {
            subscribers.push_back(connect(name));
            waits.push_back(pollfd{mos_subscriber_fd(subscribers.back().get()), POLLIN, 0});
        }
        for (long left = std::strtol(argv[1], nullptr, 10); left > 0;) {
            // Take first, then wait: taking until there is nothing is what asks for the next wake-up.
            for (std::size_t i = 0; i < subscribers.size(); i++) {
                while (left > 0) {
                    const Frame frame = latest(subscribers[i]);
                    if (!frame)
                        break;
                    show(names[i], frame);
                    left--;
                }
            }
            if (left > 0 && poll(waits.data(), waits.size(), -1) < 0)
                throw std::runtime_error("poll failed");
        }
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
