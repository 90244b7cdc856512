// Integer weights times int8 activations, by the walk of matmul.hpp: per group an exact int32 sum, then one
// multiply-add into f32.
#pragma once

#include "ops/cpu/kernels/dot.hpp"
#include "ops/cpu/kernels/kernels.hpp"
#include "ops/cpu/kernels/matmul.hpp"
#include "ops/cpu/kernels/simd.hpp"

namespace qwen3::cpu::QWEN3_KERNELS_ISA {

template <class Q>
struct IntegerProduct {
    static constexpr int kTall = kLanes == 8 ? 4 : kTallTile;  // a sum needs more registers beside it than a float
    const QuantizedRows& x;
    const char* panels;
    int64_t panel_bytes;

    // T tokens by P panels; accumulators as in FloatProduct.
    template <int T, int P>
    inline void tile(int64_t token, int64_t panel, float* y, int64_t ldy, bool accumulate) const {
        const int64_t groups = x.columns / kGroup;
        const char* block = panels + panel * panel_bytes;
        const Lookahead lookahead(panel_bytes, P);
        vf acc[T][P][kVectors];
#pragma GCC unroll 16
        for (int t = 0; t < T; ++t)
#pragma GCC unroll 8
            for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
                for (int v = 0; v < kVectors; ++v)
                    acc[t][p][v] = accumulate ? load(y + t * ldy + p * 16 + v * kLanes) : vf{};
        for (int64_t g = 0, offset = 0; g < groups; g += 2, offset += Q::kBlockBytes) {
            const int64_t ahead = lookahead.at(offset);
            if constexpr (T <= 2) {
#pragma GCC unroll 8
                for (int p = 0; p < P; ++p) __builtin_prefetch(block + p * panel_bytes + offset + ahead);
            }
            add_group<0>(token, g, block + offset, ahead, acc);
            add_group<1>(token, g + 1, block + offset, ahead, acc);
        }
#pragma GCC unroll 16
        for (int t = 0; t < T; ++t)
#pragma GCC unroll 8
            for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
                for (int v = 0; v < kVectors; ++v) store(y + t * ldy + p * 16 + v * kLanes, acc[t][p][v]);
    }

    // acc += scales * sums of one group, which is one half of the block.
    template <int Half, int T, int P>
    inline void add_group(int64_t token, int64_t group, const char* block, int64_t ahead,
                          vf (&acc)[T][P][kVectors]) const {
        constexpr int64_t kGroupBytes = (Q::kBlockBytes - kScaleBytes) / 2;
        const int64_t groups = x.columns / kGroup;
        const int8_t* values = x.values + token * x.columns + group * kGroup;
        const float* scales = x.scales + token * groups + group;
        const int32_t* totals = x.sums + token * groups + group;
        const char* lines = block + kScaleBytes + Half * kGroupBytes;
        vi sums[T][P][kVectors];
#pragma GCC unroll 16
        for (int t = 0; t < T; ++t)
#pragma GCC unroll 8
            for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
                for (int v = 0; v < kVectors; ++v) sums[t][p][v] = Q::start(totals[t * groups]);
        static_assert(kSteps == 8);
        add_step<0>(values, lines, ahead, sums);
        add_step<1>(values, lines, ahead, sums);
        add_step<2>(values, lines, ahead, sums);
        add_step<3>(values, lines, ahead, sums);
        add_step<4>(values, lines, ahead, sums);
        add_step<5>(values, lines, ahead, sums);
        add_step<6>(values, lines, ahead, sums);
        add_step<7>(values, lines, ahead, sums);
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
            for (int v = 0; v < kVectors; ++v) {
                const vf scale = load_half<Half>(reinterpret_cast<const bf16*>(block + p * panel_bytes), v * kLanes);
#pragma GCC unroll 16
                for (int t = 0; t < T; ++t) {
                    const vf sum = to_float(Q::finish(sums[t][p][v], totals[t * groups]));
                    acc[t][p][v] = sum * (scale * splat(scales[t * groups])) + acc[t][p][v];
                }
            }
    }

    // Four k.
    template <int Step, int T, int P>
    inline void add_step(const int8_t* values, const char* lines, int64_t ahead, vi (&sums)[T][P][kVectors]) const {
        if constexpr (T <= 2 && Step % Q::kStepsOfLine == 0) {
#pragma GCC unroll 8
            for (int p = 0; p < P; ++p)
                __builtin_prefetch(lines + p * panel_bytes + Step / Q::kStepsOfLine * 64 + ahead);
        }
        vi four[T];
#pragma GCC unroll 16
        for (int t = 0; t < T; ++t) {
            int32_t bytes;
            std::memcpy(&bytes, values + t * x.columns + Step * 4, sizeof bytes);
            four[t] = splat(bytes);
        }
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
            for (int v = 0; v < kVectors; ++v) {
                const typename Q::Operand w = Q::template weights<Step>(lines + p * panel_bytes, v);
#pragma GCC unroll 16
                for (int t = 0; t < T; ++t) {
                    sums[t][p][v] = Q::add(sums[t][p][v], w, four[t]);
                    opaque(sums[t][p][v]);
                }
            }
    }
};

template <class Q>
static void matmul_quantized(const MatmulArgs& a) {
    matmul(IntegerProduct<Q>{a.quantized, static_cast<const char*>(a.panels), a.panel_bytes}, a);
}

}  // namespace qwen3::cpu::QWEN3_KERNELS_ISA
