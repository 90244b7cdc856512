// The yardsticks: reading as fast as memory gives, and multiplying as fast as registers take.
#pragma once

#include "ops/cpu/kernels/dot.hpp"
#include "ops/cpu/kernels/simd.hpp"

namespace qwen3::cpu::QWEN3_KERNELS_ISA {

// Adds n floats up in four forward streams, each line asked for ahead of its use: what the decode kernels do, with
// nothing to compute.
static float read_all(const float* data, int64_t n) {
    constexpr int kStreams = 4;
    constexpr int64_t kLine = 16;  // floats
    const int64_t part = n / kStreams / kLine * kLine;
    vf acc[kStreams][16 / kLanes] = {};
    for (int64_t i = 0; i < part; i += kLine)
#pragma GCC unroll 4
        for (int s = 0; s < kStreams; ++s) {
            const float* line = data + s * part + i;
            __builtin_prefetch(line + 1024);
#pragma GCC unroll 4
            for (int v = 0; v < 16 / kLanes; ++v) acc[s][v] = acc[s][v] + load(line + v * kLanes);
        }
    vf total{};
    for (int s = 0; s < kStreams; ++s)
        for (int v = 0; v < 16 / kLanes; ++v) total = total + acc[s][v];
    return sum(total);
}

// rounds x 12 independent chains of one multiply-add; returns the operations done.
static double multiply_add(int64_t rounds, float* result) {
    constexpr int kChains = 12;
    vf acc[kChains];
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) acc[c] = splat(static_cast<float>(c));
    const vf factor = splat(*result), term = splat(*result + 0.5F);  // unknown to the compiler
    for (int64_t r = 0; r < rounds; ++r)
#pragma GCC unroll 12
        for (int c = 0; c < kChains; ++c) acc[c] = acc[c] * factor + term;
    vf total{};
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) total = total + acc[c];
    *result = sum(total);
    return static_cast<double>(rounds) * kChains * kLanes * 2;
}

// The same for products of bytes, four a lane, summed in int32.
static double multiply_add_int8(int64_t rounds, int32_t* result) {
    constexpr int kChains = 8;
    vi acc[kChains], x[kChains / 2];
    vi w = splat(0x01020304);
#pragma GCC unroll 8
    for (int c = 0; c < kChains; ++c) acc[c] = splat(c);
#pragma GCC unroll 8
    for (int c = 0; c < kChains / 2; ++c) x[c] = splat(*result + c);
    for (int64_t r = 0; r < rounds; ++r)
#pragma GCC unroll 8
        for (int c = 0; c < kChains; ++c) {
            opaque(x[c / 2]);
            acc[c] = dot(acc[c], w, x[c / 2]);
        }
    vi total{};
#pragma GCC unroll 8
    for (int c = 0; c < kChains; ++c) total += acc[c];
    *result = total[0];
    return static_cast<double>(rounds) * kChains * kLanes * 4 * 2;
}

}  // namespace qwen3::cpu::QWEN3_KERNELS_ISA
