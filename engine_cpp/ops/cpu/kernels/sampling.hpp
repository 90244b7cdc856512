// The sampler's two passes over a row of logits.
#pragma once

#include "ops/cpu/kernels/kernels.hpp"
#include "ops/cpu/kernels/simd.hpp"

namespace qwen3::cpu::QWEN3_KERNELS_ISA {

// A comparison with NaN is false, so that NaN never becomes a maximum.
static void block_maxima(const float* x, int64_t n, float* maxima) {
    constexpr int kChains = 4;
    constexpr int64_t kStride = kChains * kLanes;
    for (int64_t begin = 0; begin < n; begin += kLogitsBlock) {
        const float* block = x + begin;
        const int64_t size = n - begin < kLogitsBlock ? n - begin : kLogitsBlock;
        vf most[kChains];
        for (int c = 0; c < kChains; ++c) most[c] = splat(-__builtin_inff());
        int64_t i = 0;
        for (; i + kStride <= size; i += kStride)
#pragma GCC unroll 4
            for (int c = 0; c < kChains; ++c) most[c] = max(load(block + i + c * kLanes), most[c]);
        float best = max(max(max(most[0], most[1]), max(most[2], most[3])));
        for (; i < size; ++i) best = block[i] > best ? block[i] : best;
        *maxima++ = best;
    }
}

// 16 partial sums in f32 over a run, whatever the width, so that its order does not depend on it; then f64.
static double sum_exp(const float* x, int64_t n, float shift) {
    constexpr int kVectors = 16 / kLanes;
    constexpr int64_t kRun = 512;  // 32 terms a partial sum: its rounding stays near that of exp itself
    const vf shifts = splat(shift);
    double total = 0.0;
    for (int64_t begin = 0; begin < n; begin += kRun) {
        const int64_t end = n - begin < kRun ? n : begin + kRun;
        vf acc[kVectors] = {};
        auto add = [&](const float* line) {
#pragma GCC unroll 4
            for (int v = 0; v < kVectors; ++v) acc[v] = acc[v] + exp(load(line + v * kLanes) - shifts);
        };
        int64_t i = begin;
        for (; i + 16 <= end; i += 16) add(x + i);
        if (i < end) {
            float line[16];
            for (int64_t lane = 0; lane < 16; ++lane) line[lane] = i + lane < end ? x[i + lane] : -__builtin_inff();
            add(line);
        }
#pragma GCC unroll 2
        for (int half = kVectors / 2; half > 0; half /= 2)
            for (int v = 0; v < half; ++v) acc[v] = acc[v] + acc[v + half];
        total += sum(acc[0]);
    }
    return total;
}

}  // namespace qwen3::cpu::QWEN3_KERNELS_ISA
