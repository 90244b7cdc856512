#include <atomic>
#include <thread>

#include "check.hpp"
#include "qwen3/error.hpp"
#include "runtime/event_ring.hpp"
#include "runtime/request_queue.hpp"
#include "runtime/scheduler.hpp"

using namespace qwen3;

TEST("a ring refuses when full and keeps the order", {
    EventRing<int> ring(3);
    int value = 0;
    CHECK(ring.empty() && !ring.pop(value));
    for (int i = 0; i < 3; ++i) CHECK(ring.push(i));
    CHECK(ring.full() && !ring.push(9));
    CHECK(ring.pop(value) && value == 0);
    CHECK(ring.push(3));
    for (int i = 1; i <= 3; ++i) CHECK(ring.pop(value) && value == i);
    CHECK(ring.empty());
});

TEST("a ring between two threads loses and reorders nothing", {
    constexpr int kEvents = 200000;
    EventRing<int> ring(16);
    std::thread writer([&] {
        for (int i = 0; i < kEvents;)
            if (ring.push(i))
                ++i;
            else
                std::this_thread::yield();
    });
    bool ordered = true;
    for (int expected = 0, value = 0; expected < kEvents;)
        if (ring.pop(value))
            ordered &= value == expected++;
        else
            std::this_thread::yield();
    writer.join();
    CHECK(ordered && ring.empty());
});

TEST("the queue hands over jobs in order, wakes its reader, and refuses once closed", {
    RequestQueue queue;
    std::vector<int> ran;
    std::atomic<bool> closed{false};
    std::thread reader([&] {
        for (;;) {
            const RequestQueue::Arrivals arrivals = queue.take(true);
            for (const RequestQueue::Job& job : arrivals.jobs) job();
            if (arrivals.closed) break;
        }
        closed = true;
    });
    for (int i = 0; i < 100; ++i) queue.post([&ran, i] { ran.push_back(i); });
    queue.close();
    reader.join();
    CHECK(closed && ran.size() == 100);
    for (int i = 0; i < 100; ++i) CHECK(ran[static_cast<size_t>(i)] == i);
    CHECK_THROWS(queue.post([] {}), DeviceError, "closed");
});

TEST("a wake-up before the wait is not lost", {
    RequestQueue queue;
    queue.wake();
    CHECK(queue.take(true).jobs.empty());
});

TEST("decodes always run; prefills share the chunk in order of arrival", {
    const std::vector<Waiting> waiting = {{.pending = 300}, {.pending = 1}, {.pending = 100}, {.pending = 1}};
    CHECK((schedule(waiting, 256) == std::vector<int64_t>{256, 1, 0, 1}));
    CHECK((schedule(waiting, 350) == std::vector<int64_t>{300, 1, 50, 1}));
});

TEST("background work waits for the foreground, a full ring waits for its reader", {
    CHECK((schedule(std::vector<Waiting>{{.pending = 10, .background = true}, {.pending = 1}}, 256) ==
           std::vector<int64_t>{0, 1}));
    CHECK((schedule(std::vector<Waiting>{{.pending = 10, .background = true}}, 256) == std::vector<int64_t>{10}));
    CHECK((schedule(std::vector<Waiting>{{.pending = 1, .blocked = true}, {.pending = 10, .background = true}}, 256) ==
           std::vector<int64_t>{0, 10}));
});

TEST_MAIN()
