// RMSNorm, per-head RMSNorm with RoPE, SiLU, and a weighted sum's step.
#pragma once

#include "ops/cpu/kernels/simd.hpp"

namespace qwen3::cpu::QWEN3_KERNELS_ISA {

// 1 / sqrt(mean(x^2) + epsilon)
static inline float inverse_rms(const float* x, float epsilon, int64_t n) {
    vf acc{};
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        const vf v = load(x + i);
        acc = v * v + acc;
    }
    float total = sum(acc);
    for (; i < n; ++i) total += x[i] * x[i];
    return 1.0F / __builtin_sqrtf(total / static_cast<float>(n) + epsilon);
}

static void rms_norm(const float* x, const float* weight, float epsilon, int64_t n, float* y) {
    const float scale = inverse_rms(x, epsilon, n);
    for (int64_t i = 0; i < n; ++i) y[i] = x[i] * scale * weight[i];
}

static void norm_rope(const float* x, const float* weight, float epsilon, const float* cos, const float* sin,
                      int64_t dh, float* y) {
    const float scale = inverse_rms(x, epsilon, dh);
    const int64_t half = dh / 2;
    for (int64_t i = 0; i < half; ++i) {
        const float a = x[i] * scale * weight[i];
        const float b = x[i + half] * scale * weight[i + half];
        y[i] = a * cos[i] - b * sin[i];
        y[i + half] = b * cos[i] + a * sin[i];
    }
}

static void silu_mul(float* gate, const float* up, int64_t n) {
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        const vf g = load(gate + i);
        store(gate + i, g / (splat(1.0F) + exp(-g)) * load(up + i));
    }
    if (i < n) {  // the rest through one padded vector: the same bits as in a longer row
        float g[kLanes] = {}, u[kLanes] = {};
        const auto bytes = static_cast<size_t>(n - i) * sizeof(float);
        std::memcpy(g, gate + i, bytes);
        std::memcpy(u, up + i, bytes);
        const vf v = load(g);
        store(g, v / (splat(1.0F) + exp(-v)) * load(u));
        std::memcpy(gate + i, g, bytes);
    }
}

// One rounding or two, as the instruction set has it, but alike for every element: a row may be cut anywhere.
static void add_scaled(const float* x, float scale, int64_t n, float* y) {
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) store(y + i, load(x + i) * splat(scale) + load(y + i));
    if (i < n) {
        float a[kLanes] = {}, b[kLanes] = {};
        const auto bytes = static_cast<size_t>(n - i) * sizeof(float);
        std::memcpy(a, x + i, bytes);
        std::memcpy(b, y + i, bytes);
        store(b, load(a) * splat(scale) + load(b));
        std::memcpy(y + i, b, bytes);
    }
}

}  // namespace qwen3::cpu::QWEN3_KERNELS_ISA
