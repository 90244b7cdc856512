#include "qwen3/limits.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <vector>

#include "ops/cpu/kernels/kernels.hpp"
#include "ops/cpu/memory.hpp"
#include "qwen3/range.hpp"
#include "threads/thread_pool.hpp"

namespace qwen3 {
namespace {

double seconds_since(std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

MachineLimits measure_limits(int threads, int64_t bytes) {
    const cpu::Kernels& kernels = cpu::select_kernels();
    ThreadPool pool(threads, SpinPolicy{});
    const cpu::Block block(static_cast<size_t>(bytes), "measuring memory");
    auto* floats = reinterpret_cast<float*>(block.data());
    auto share = [&](int thread) { return split(bytes / 4, 4096, thread, threads); };
    pool.run([&](int thread) { std::fill(floats + share(thread).begin, floats + share(thread).end, 1.0F); });

    MachineLimits best;
    std::vector<float> sink(static_cast<size_t>(threads) * 16);  // a line each
    for (int repeat = 0; repeat < 5; ++repeat) {
        auto begin = std::chrono::steady_clock::now();
        pool.run([&](int thread) {
            sink[static_cast<size_t>(thread) * 16] =
                kernels.read_all(floats + share(thread).begin, share(thread).size());
        });
        best.read_bytes_per_s = std::max(best.read_bytes_per_s, static_cast<double>(bytes) / seconds_since(begin));

        constexpr int64_t kRounds = 2'000'000;
        std::vector<double> done(sink.size());
        begin = std::chrono::steady_clock::now();
        pool.run([&](int thread) {
            float& result = sink[static_cast<size_t>(thread) * 16] = 0.5F;
            done[static_cast<size_t>(thread) * 16] = kernels.multiply_add(kRounds, &result);
        });
        double total = 0.0;
        for (double d : done) total += d;
        best.fp32_flop_per_s = std::max(best.fp32_flop_per_s, total / seconds_since(begin));
    }
    return best;
}

}  // namespace qwen3
