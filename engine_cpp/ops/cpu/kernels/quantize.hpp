// Rounding to integers: activations per row and group of 32; weights per block of 64 columns and 16 rows, a lane a row.
#pragma once

#include "ops/cpu/kernels/kernels.hpp"
#include "ops/cpu/kernels/simd.hpp"

namespace qwen3::cpu::QWEN3_KERNELS_ISA {

static inline void store_bytes(int8_t* p, vi v) {
    const auto bytes = __builtin_convertvector(v, vb);
    std::memcpy(p, &bytes, sizeof bytes);
}

// int8, symmetric: scale = max|x| / 127. A value that is not finite makes the scale NaN, and so all that comes of it.
static void quantize_row(const float* x, int64_t n, int8_t* values, float* scales, int32_t* sums) {
    for (int64_t begin = 0; begin < round_up(n, kBlock); begin += kGroup, values += kGroup) {
        float padded[kGroup];
        const float* group = x + begin;
        if (begin + kGroup > n) {
            for (int64_t i = 0; i < kGroup; ++i) padded[i] = begin + i < n ? x[begin + i] : 0.0F;
            group = padded;
        }
        vf most{}, poison{};
        for (int64_t i = 0; i < kGroup; i += kLanes) {
            most = max(most, abs(load(group + i)));
            poison = poison + load(group + i) * splat(0.0F);
        }
        const float largest = max(most);
        const vf inverse = splat(largest > 0.0F ? 127.0F / largest : 0.0F);
        vu total{};  // what is not finite becomes the least integer, whose sums wrap around
        for (int64_t i = 0; i < kGroup; i += kLanes) {
            const vi q = __builtin_convertvector(round(load(group + i) * inverse), vi);
            store_bytes(values + i, q);
            total += reinterpret_cast<vu>(q);
        }
        uint32_t sum_of_lanes = 0;
        for (int i = 0; i < kLanes; ++i) sum_of_lanes += total[i];
        *sums++ = static_cast<int32_t>(sum_of_lanes);
        *scales++ = largest / 127.0F + sum(poison);
    }
}

// Round to nearest, ties to even; NaN stays one.
static inline vf rounded_to_bf16(vf x) {
    const vu bits = reinterpret_cast<vu>(x);
    const vf near = as_float((bits + 0x7fffU + ((bits >> 16) & 1U)) & 0xffff0000U);
    return select(x == x, near, as_float(vu{} + 0x7fc00000U));
}

static inline void store_scales(char* block, int half, int vector, vf scale) {
    uint32_t bits[kLanes];
    std::memcpy(bits, &scale, sizeof bits);
    for (int i = 0; i < kLanes; ++i) {
        const auto high = static_cast<uint16_t>(bits[i] >> 16);
        std::memcpy(block + ((vector * kLanes + i) * 2 + half) * 2, &high, sizeof high);
    }
}

constexpr float kSmallestScale = 1e-30F;  // weights below are zeros: the inverse stays finite

static inline vf clamp(vf x, float low, float high) {
    x = select(x < splat(low), splat(low), x);
    return select(x > splat(high), splat(high), x);
}

// int8: scale = max|w| / 127, rounded to bf16 before the weights are divided by it.
static void quantize_int8(const float* columns, void* to) {
    char* block = static_cast<char*>(to);
    for (int half = 0; half < 2; ++half)
        for (int vector = 0; vector < 16 / kLanes; ++vector) {
            const float* w = columns + half * kGroup * kPanel + vector * kLanes;
            vf most{}, poison{};
            for (int64_t k = 0; k < kGroup; ++k) {
                most = max(most, abs(load(w + k * kPanel)));
                poison = poison + load(w + k * kPanel) * splat(0.0F);
            }
            const vf scale = rounded_to_bf16(most * splat(1.0F / 127.0F) + poison);
            const vf inverse = select(scale > splat(kSmallestScale), splat(1.0F) / scale, vf{});
            store_scales(block, half, vector, scale);
            char* group = block + kScaleBytes + half * kGroup * kPanel;
            for (int64_t k = 0; k < kGroup; k += 4) {
                vi word{};
                for (int i = 0; i < 4; ++i) {
                    const vf q = clamp(round(load(w + (k + i) * kPanel) * inverse), -127.0F, 127.0F);
                    word |= (__builtin_convertvector(q, vi) & 0xff) << (8 * i);
                }
                std::memcpy(group + k / 4 * 64 + vector * kLanes * 4, &word, sizeof word);
            }
        }
}

// int4: of some scales around max|w| / 8 (with the sign that lets the largest weight use -8) the one whose rounded
// weights q, at their best scale sum(w q) / sum(q q), leave the least squared error.
static void quantize_int4(const float* columns, void* to) {
    constexpr int kCandidates = 9;
    char* block = static_cast<char*>(to);
    for (int half = 0; half < 2; ++half)
        for (int vector = 0; vector < 16 / kLanes; ++vector) {
            const float* w = columns + half * kGroup * kPanel + vector * kLanes;
            vf most{}, extreme{}, poison{};
            for (int64_t k = 0; k < kGroup; ++k) {
                const vf x = load(w + k * kPanel);
                extreme = select(abs(x) > most, x, extreme);
                most = max(most, abs(x));
                poison = poison + x * splat(0.0F);
            }
            const vi usable = most > splat(kSmallestScale);
            vf best_gain = splat(-1.0F), best_inverse{}, best_scale{};
            for (int c = 0; c < kCandidates; ++c) {
                const vf levels =
                    splat(-7.0F - 0.2F * static_cast<float>(c));  // what the largest weight becomes: no tie
                const vf inverse = select(usable, levels / extreme, vf{});
                vf wq{}, qq{};
                for (int64_t k = 0; k < kGroup; ++k) {
                    const vf x = load(w + k * kPanel);
                    const vf q = clamp(round(x * inverse), -8.0F, 7.0F);
                    wq = wq + x * q;
                    qq = qq + q * q;
                }
                const vf scale = select(qq > vf{}, wq / qq, vf{});
                const vf gain = scale * wq;  // what it takes off the squared error
                const vi better = gain > best_gain;
                best_gain = select(better, gain, best_gain);
                best_inverse = select(better, inverse, best_inverse);
                best_scale = select(better, scale, best_scale);
            }
            store_scales(block, half, vector, rounded_to_bf16(best_scale + poison));
            char* group = block + kScaleBytes + half * kGroup * kPanel / 2;
            for (int64_t k = 0; k < kGroup; k += 8) {
                vi word{};
                for (int i = 0; i < 8; ++i) {
                    const vf q = clamp(round(load(w + (k + i) * kPanel) * best_inverse), -8.0F, 7.0F);
                    word |= (__builtin_convertvector(q, vi) + 8) << (8 * (i % 4) + 4 * (i / 4));
                }
                std::memcpy(group + k / 8 * 64 + vector * kLanes * 4, &word, sizeof word);
            }
        }
}

}  // namespace qwen3::cpu::QWEN3_KERNELS_ISA
