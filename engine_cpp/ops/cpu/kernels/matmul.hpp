// Activations times interleaved panels: the one walk of projections, head and attention.
#pragma once

#include "ops/cpu/kernels/kernels.hpp"
#include "ops/cpu/kernels/simd.hpp"

namespace qwen3::cpu::QWEN3_KERNELS_ISA {

constexpr int kVectors = 16 / kLanes;     // vectors of a panel
constexpr int64_t kPrefetchBytes = 4096;  // ahead in the stream of weights
// Tokens of the tallest tile: its accumulators, the weights of one k and an activation fill the registers.
#if defined(__AVX512F__)
constexpr int kTallTile = 12;
#elif defined(__AVX2__)
constexpr int kTallTile = 6;
#else
constexpr int kTallTile = 2;
#endif

// Where the line lies that P panels side by side will want kPrefetchBytes later: further on in its own panel or, near
// the end, in the panel that comes P panels later.
struct Lookahead {
    int64_t before = 0, after = 0;  // bytes from the current line
    int64_t turn = 0;               // offset in the panel where the latter takes over

    Lookahead(int64_t panel_bytes, int panels) {
        if (panel_bytes == 0) return;  // no columns: a device without a part of the MLP
        const int64_t whole = kPrefetchBytes / panel_bytes, step = (panels - 1) * panel_bytes;
        before = kPrefetchBytes + whole * step;
        after = before + step;
        turn = (whole + 1) * panel_bytes - kPrefetchBytes;
    }
    int64_t at(int64_t offset) const { return offset < turn ? before : after; }
};

// One k of a pair: T tokens by P panels. Beside the accumulators it needs P panels' weights and one activation.
template <int T, int P, int Half, class W>
static inline void accumulate_k(const float* x, int64_t ldx, const W* pair, int64_t stride, vf (&acc)[T][P][kVectors]) {
    vf w[P][kVectors];
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) w[p][v] = load_half<Half>(pair + p * stride, v * kLanes);
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t) {
        const vf activation = splat(x[t * ldx + Half]);
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
            for (int v = 0; v < kVectors; ++v) {
                acc[t][p][v] = w[p][v] * activation + acc[t][p][v];
                opaque(acc[t][p][v]);
            }
    }
}

// A product says how T tokens meet P panels, all of k; the walk below covers the rest.
template <class W>
struct FloatProduct {
    static constexpr int kTall = kTallTile;
    const float* x;
    int64_t ldx;
    const W* panels;
    int64_t stride;  // of a panel, in elements
    int64_t k;

    // Accumulators stay in registers: everything is unrolled.
    template <int T, int P>
    inline void tile(int64_t token, int64_t panel, float* y, int64_t ldy, bool accumulate) const {
        const float* rows = x + token * ldx;
        const W* from = panels + panel * stride;
        vf acc[T][P][kVectors];
#pragma GCC unroll 16
        for (int t = 0; t < T; ++t)
#pragma GCC unroll 8
            for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
                for (int v = 0; v < kVectors; ++v)
                    acc[t][p][v] = accumulate ? load(y + t * ldy + p * 16 + v * kLanes) : vf{};
        constexpr int64_t kSize = sizeof(W);
        const Lookahead lookahead(stride * kSize, P);
        int64_t i = 0;
        for (; i + 2 <= k; i += 2) {
            if constexpr (T <= 2) {
                const int64_t ahead = lookahead.at(i * 16 * kSize);
#pragma GCC unroll 8
                for (int p = 0; p < P; ++p)
                    __builtin_prefetch(reinterpret_cast<const char*>(from + p * stride + i * 16) + ahead);
            }
            accumulate_k<T, P, 0>(rows + i, ldx, from + i * 16, stride, acc);
            accumulate_k<T, P, 1>(rows + i, ldx, from + i * 16, stride, acc);
        }
        if (i < k) accumulate_k<T, P, 0>(rows + i, ldx, from + i * 16, stride, acc);
#pragma GCC unroll 16
        for (int t = 0; t < T; ++t)
#pragma GCC unroll 8
            for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
                for (int v = 0; v < kVectors; ++v) store(y + t * ldy + p * 16 + v * kLanes, acc[t][p][v]);
    }
};

// T tokens over whole panels; few tokens take several panels at once to have enough chains in flight.
template <int T, class Product>
static inline void rows_of_tiles(const Product& product, int64_t token, int64_t begin, int64_t end, float* y,
                                 int64_t ldy, bool accumulate) {
    constexpr int kWide = T == 1 ? 4 : T == 2 ? 2 : 1;
    float* row = y + token * ldy;
    int64_t p = begin;
    for (; p + kWide <= end; p += kWide) product.template tile<T, kWide>(token, p, row + p * 16, ldy, accumulate);
    for (; p < end; ++p) product.template tile<T, 1>(token, p, row + p * 16, ldy, accumulate);
}

// Any number of tokens over whole panels; y has room for 16 columns a panel.
template <class Product>
static inline void panel_product(const Product& product, int64_t tokens, int64_t begin, int64_t end, float* y,
                                 int64_t ldy, bool accumulate) {
    int64_t t = 0;
    constexpr int kTall = Product::kTall;
    if constexpr (kTall > 4)
        for (; t + kTall <= tokens; t += kTall) rows_of_tiles<kTall>(product, t, begin, end, y, ldy, accumulate);
    if constexpr (kTall >= 4)
        for (; t + 4 <= tokens; t += 4) rows_of_tiles<4>(product, t, begin, end, y, ldy, accumulate);
    for (; t + 2 <= tokens; t += 2) rows_of_tiles<2>(product, t, begin, end, y, ldy, accumulate);
    if (t < tokens) rows_of_tiles<1>(product, t, begin, end, y, ldy, accumulate);
}

template <class Product>
static inline void matmul(const Product& product, const MatmulArgs& a) {
    const int64_t whole = a.rows / 16;  // panels whose 16 columns all belong to y
    if (a.tokens <= 2) {
        panel_product(product, a.tokens, 0, whole, a.y, a.ldy, a.accumulate);
    } else {  // a panel at a time: it stays in the cache while the tokens pass
        for (int64_t p = 0; p < whole; ++p) panel_product(product, a.tokens, p, p + 1, a.y, a.ldy, a.accumulate);
    }
    if (whole == a.panel_count) return;
    const int64_t columns = a.rows - whole * 16;  // of the partial panel
    for (int64_t t = 0; t < a.tokens; ++t) {
        float row[16] = {};
        float* y = a.y + t * a.ldy + whole * 16;
        if (a.accumulate) std::memcpy(row, y, static_cast<size_t>(columns) * sizeof(float));
        product.template tile<1, 1>(t, whole, row, 16, a.accumulate);
        std::memcpy(y, row, static_cast<size_t>(columns) * sizeof(float));
    }
}

template <class W>
static void matmul_float(const MatmulArgs& a) {
    const int64_t stride = a.panel_bytes / static_cast<int64_t>(sizeof(W));
    matmul(FloatProduct<W>{a.x, a.ldx, static_cast<const W*>(a.panels), stride, a.k}, a);
}

}  // namespace qwen3::cpu::QWEN3_KERNELS_ISA
