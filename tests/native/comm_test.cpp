#include <atomic>
#include <thread>
#include <vector>

#include "check.hpp"
#include "comm/shared_memory.hpp"
#include "qwen3/error.hpp"
#include "threads/thread_pool.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace qwen3;

TEST("a pool runs the function once on every thread, again and again", {
    for (int threads = 1; threads <= 5; ++threads) {
        ThreadPool pool(threads, SpinPolicy{0, 10});
        for (int round = 0; round < 200; ++round) {
            std::vector<std::atomic<int>> calls(static_cast<size_t>(threads));
            pool.run([&](int thread) { ++calls[static_cast<size_t>(thread)]; });
            for (const auto& count : calls) CHECK(count == 1);
        }
    }
});

TEST("the threads that a pool starts keep to the processors they are given, and the caller to its own", {
    const CpuList before = allowed_cpus();
    const CpuList last{before.back()};
    ThreadPool pool(2, SpinPolicy{0, 10}, {last, last});
    std::vector<CpuList> found(2);
    pool.run([&](int thread) { found[static_cast<size_t>(thread)] = allowed_cpus(); });
    CHECK(found[0] == before);
    CHECK(found[1] == last);
});

TEST("processors that do not exist are no reason to stop", {
    std::thread([] {
        const CpuList before = allowed_cpus();
        keep_to({1'000'000});
        CHECK(allowed_cpus() == before);
        keep_to({before.front()});
        CHECK(allowed_cpus() == CpuList{before.front()});
    }).join();
});

TEST("the sum over ranks is the same bits on every rank, added in rank order", {
    for (int64_t size = 1; size <= 4; ++size)
        for (size_t n : {size_t{1}, size_t{17}, size_t{3000}}) {
            SharedGroup group(size, SpinPolicy{0, 10});
            ThreadPool pool(static_cast<int>(size), SpinPolicy{0, 10});
            std::vector<std::vector<float>> values(static_cast<size_t>(size), std::vector<float>(n));
            std::vector<float> expected(n);
            for (size_t i = 0; i < n; ++i) {
                for (size_t r = 0; r < values.size(); ++r)
                    values[r][i] = (r % 2 ? -1.0F : 1.0F) / (1.0F + static_cast<float>(i * 7 + r * 13));
                expected[i] = values[0][i];
                for (size_t r = 1; r < values.size(); ++r) expected[i] += values[r][i];
            }
            pool.run([&](int rank) {
                auto comm = group.communicator(rank);
                comm->all_reduce_sum(values[static_cast<size_t>(rank)]);
            });
            for (const auto& v : values) CHECK(v == expected);
        }
});

TEST("a rank that fails frees the others, and the group works again after a reset", {
    SharedGroup group(3, SpinPolicy{0, 10});
    ThreadPool pool(3, SpinPolicy{0, 10});
    for (int round = 0; round < 50; ++round) {
        std::atomic<int> cancelled{0};
        pool.run([&](int rank) {
            auto comm = group.communicator(rank);
            if (rank == 1) return group.abort();
            try {
                comm->barrier();
            } catch (const Cancelled&) {
                ++cancelled;
            }
        });
        CHECK(cancelled == 2);
        group.reset();
        pool.run([&](int rank) { group.communicator(rank)->barrier(); });
    }
});

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which need the addresses themselves
TEST("a pool that cannot start its threads says so and leaves none behind", {
    const pid_t child = fork();                                      // the limit is for life
    if (child == 0) {
        const rlimit space{size_t{256} << 20, size_t{256} << 20};    // no room for the stacks of so many
        setrlimit(RLIMIT_AS, &space);
        int code = 1;
        try {
            const ThreadPool pool(4096, SpinPolicy{0, 10});
        } catch (const DeviceError&) {
            code = 0;
        }
        _exit(code);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
});
#endif

TEST_MAIN()
