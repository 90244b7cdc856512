// Integer weights times int8 activations, by the walk of matmul.hpp: per group an exact int32 sum, then one
// multiply-add into f32.
#pragma once

#include "ops/cpu/kernels/dot.hpp"
#include "ops/cpu/kernels/kernels.hpp"
#include "ops/cpu/kernels/matmul.hpp"
#include "ops/cpu/kernels/simd.hpp"

namespace qwen3::cpu::QWEN3_KERNELS_ISA {

template <int Step, int T, class Q>
static inline void add_step(const int8_t* x, int64_t ldx, const char* group, vi (&sums)[T][kVectors]) {
    typename Q::Operand w[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) w[v] = Q::template weights<Step>(group, v);
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t) {
        int32_t four;
        std::memcpy(&four, x + t * ldx + Step * 4, sizeof four);
        const vi activations = splat(four);
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) {
            sums[t][v] = Q::add(sums[t][v], w[v], activations);
            opaque(sums[t][v]);
        }
    }
}

// T tokens by one panel, one group: acc += scales * sums.
template <int Half, int T, class Q>
static inline void add_group(const int8_t* x, int64_t ldx, const float* scales, const int32_t* totals, int64_t groups,
                             const char* block, vf (&acc)[T][kVectors]) {
    constexpr int64_t kGroupBytes = (Q::kBlockBytes - kScaleBytes) / 2;
    const char* group = block + kScaleBytes + Half * kGroupBytes;
    if constexpr (T <= 2) {
#pragma GCC unroll 8
        for (int64_t line = 0; line < kGroupBytes; line += 64) __builtin_prefetch(group + line + kPrefetchBytes);
    }
    vi sums[T][kVectors];
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t)
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) sums[t][v] = Q::start(totals[t * groups]);
    static_assert(kSteps == 8);
    add_step<0, T, Q>(x, ldx, group, sums);
    add_step<1, T, Q>(x, ldx, group, sums);
    add_step<2, T, Q>(x, ldx, group, sums);
    add_step<3, T, Q>(x, ldx, group, sums);
    add_step<4, T, Q>(x, ldx, group, sums);
    add_step<5, T, Q>(x, ldx, group, sums);
    add_step<6, T, Q>(x, ldx, group, sums);
    add_step<7, T, Q>(x, ldx, group, sums);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
        const vf scale = load_half<Half>(reinterpret_cast<const bf16*>(block), v * kLanes);
#pragma GCC unroll 16
        for (int t = 0; t < T; ++t)
            acc[t][v] =
                to_float(Q::finish(sums[t][v], totals[t * groups])) * (scale * splat(scales[t * groups])) + acc[t][v];
    }
}

template <class Q>
struct IntegerProduct {
    const QuantizedRows& x;
    const char* panels;
    int64_t panel_bytes;

    template <int T, int P>
    inline void tile(int64_t token, int64_t panel, float* y, int64_t ldy, bool accumulate) const {
        const int64_t groups = x.columns / kGroup;
        const int8_t* values = x.values + token * x.columns;
        const float* scales = x.scales + token * groups;
        const int32_t* totals = x.sums + token * groups;
        const char* block = panels + panel * panel_bytes;
        vf acc[P][T][kVectors];
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p)
#pragma GCC unroll 16
            for (int t = 0; t < T; ++t)
#pragma GCC unroll 4
                for (int v = 0; v < kVectors; ++v)
                    acc[p][t][v] = accumulate ? load(y + t * ldy + p * 16 + v * kLanes) : vf{};
        for (int64_t g = 0; g < groups; g += 2, block += Q::kBlockBytes)
#pragma GCC unroll 8
            for (int p = 0; p < P; ++p) {
                const char* here = block + p * panel_bytes;
                if constexpr (T <= 2) __builtin_prefetch(here + kPrefetchBytes);
                const int8_t* part = values + g * kGroup;
                add_group<0, T, Q>(part, x.columns, scales + g, totals + g, groups, here, acc[p]);
                add_group<1, T, Q>(part + kGroup, x.columns, scales + g + 1, totals + g + 1, groups, here, acc[p]);
            }
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p)
#pragma GCC unroll 16
            for (int t = 0; t < T; ++t)
#pragma GCC unroll 4
                for (int v = 0; v < kVectors; ++v) store(y + t * ldy + p * 16 + v * kLanes, acc[p][t][v]);
    }
};

template <class Q>
static void matmul_quantized(const MatmulArgs& a) {
    matmul(IntegerProduct<Q>{a.quantized, static_cast<const char*>(a.panels), a.panel_bytes}, a);
}

}  // namespace qwen3::cpu::QWEN3_KERNELS_ISA
