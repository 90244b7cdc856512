#include "qwen3/limits.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
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
    constexpr int64_t kRounds = 2'000'000;
    auto arithmetic = [&](auto&& kernel) {                       // operations a second, all threads together
        std::vector<double> done(sink.size());
        const auto begin = std::chrono::steady_clock::now();
        pool.run([&](int thread) {
            float& result = sink[static_cast<size_t>(thread) * 16] = 0.5F;
            done[static_cast<size_t>(thread) * 16] = kernel(result);
        });
        return std::accumulate(done.begin(), done.end(), 0.0) / seconds_since(begin);
    };
    for (int repeat = 0; repeat < 5; ++repeat) {
        const auto begin = std::chrono::steady_clock::now();
        pool.run([&](int thread) {
            sink[static_cast<size_t>(thread) * 16] =
                kernels.read_all(floats + share(thread).begin, share(thread).size());
        });
        best.read_bytes_per_s = std::max(best.read_bytes_per_s, static_cast<double>(bytes) / seconds_since(begin));

        best.fp32_flop_per_s = std::max(
            best.fp32_flop_per_s, arithmetic([&](float& result) { return kernels.multiply_add(kRounds, &result); }));
        best.int8_op_per_s = std::max(best.int8_op_per_s, arithmetic([&](float& result) {
                                          int32_t sum = 1;
                                          const double done = kernels.multiply_add_int8(kRounds, &sum);
                                          result = static_cast<float>(sum);
                                          return done;
                                      }));
    }
    return best;
}

}  // namespace qwen3
