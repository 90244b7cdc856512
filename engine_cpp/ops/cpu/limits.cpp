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

// Memory that no cache holds, each thread's share written by itself.
class Stream {
public:
    Stream(const cpu::Kernels& kernels, int threads, int64_t bytes)
        : kernels_(kernels),
          threads_(threads),
          bytes_(bytes),
          block_(static_cast<size_t>(bytes), "measuring memory"),
          sink_(static_cast<size_t>(threads) * 16) {}

    // Part `index` of `parts` of every thread's share: a read finds only what was written.
    void write(ThreadPool& pool, int64_t index, int64_t parts) {
        pool.run([&](int thread) {
            const Range mine = share(thread), part = split(mine.size(), 4096, index, parts);
            std::fill(floats() + mine.begin + part.begin, floats() + mine.begin + part.end, 1.0F);
        });
    }

    double bytes_per_s(ThreadPool& pool) {  // of one reading
        const auto begin = std::chrono::steady_clock::now();
        pool.run([&](int thread) {
            sink_[static_cast<size_t>(thread) * 16] =
                kernels_.read_all(floats() + share(thread).begin, share(thread).size());
        });
        return static_cast<double>(bytes_) / seconds_since(begin);
    }

private:
    float* floats() { return reinterpret_cast<float*>(block_.data()); }
    Range share(int thread) const { return split(bytes_ / 4, 4096, thread, threads_); }

    const cpu::Kernels& kernels_;
    const int threads_;
    const int64_t bytes_;
    const cpu::Block block_;
    std::vector<float> sink_;  // a line each
};

constexpr int kRepeats = 5;  // the best of them counts

}  // namespace

std::optional<double> measure_reads(int threads, const std::function<bool()>& go_on, int64_t bytes) {
    constexpr int64_t kParts = 8;
    ThreadPool pool(threads, SpinPolicy{});
    Stream stream(cpu::select_kernels(), threads, bytes);
    for (int64_t part = 0; part < kParts; ++part) {
        if (!go_on()) return {};
        stream.write(pool, part, kParts);
    }
    double best = 0.0;
    for (int repeat = 0; repeat < kRepeats; ++repeat) {
        if (!go_on()) return {};
        best = std::max(best, stream.bytes_per_s(pool));
    }
    return go_on() ? std::optional(best) : std::nullopt;  // the last reading may have had company
}

MachineLimits measure_limits(int threads, int64_t bytes) {
    const cpu::Kernels& kernels = cpu::select_kernels();
    ThreadPool pool(threads, SpinPolicy{});
    Stream stream(kernels, threads, bytes);
    stream.write(pool, 0, 1);

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
    for (int repeat = 0; repeat < kRepeats; ++repeat) {
        best.read_bytes_per_s = std::max(best.read_bytes_per_s, stream.bytes_per_s(pool));
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
