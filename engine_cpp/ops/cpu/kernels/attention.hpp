// Causal attention of a few query tokens over the pages of one KV head, with a running softmax (Milakov and
// Gimelshein, 2018) that goes page by page: the order of every sum depends on the context's length alone.
#pragma once

#include "ops/cpu/kernels/kernels.hpp"
#include "ops/cpu/kernels/matmul.hpp"
#include "ops/cpu/kernels/simd.hpp"

namespace qwen3::cpu::QWEN3_KERNELS_ISA {

// K panel element (token t, dimension i) and V panel element (token t, dimension i), in elements of the block.
template <class KV>
static inline int64_t interleaved(int64_t row, int64_t k) {  // row < 16
    return sizeof(KV) == 4 ? k * 16 + row : k / 2 * 32 + row * 2 + k % 2;
}
static inline void put(float* p, float x) { *p = x; }
static inline void put(bf16* p, float x) { p->bits = to_bf16(x); }

template <class KV>
static void append(const float* k, const float* v, int64_t dh, const KvSlot& slot) {
    KV* k_panel = static_cast<KV*>(slot.k) + slot.index / 16 * 16 * dh;
    for (int64_t i = 0; i < dh; ++i) put(k_panel + interleaved<KV>(slot.index % 16, i), k[i]);
    KV* v_block = static_cast<KV*>(slot.v);
    for (int64_t i = 0; i < dh; ++i)
        put(v_block + i / 16 * 16 * kPageTokens + interleaved<KV>(i % 16, slot.index), v[i]);
}

// p = exp(s - new maximum) over the visible tokens, 0 behind them; returns their sum.
static inline float softmax_page(float* s, int64_t visible, float* maximum, float* correction) {
    for (int64_t t = visible; t < kPageTokens; ++t) s[t] = -__builtin_inff();
    vf best = load(s);
    for (int64_t t = kLanes; t < kPageTokens; t += kLanes) best = max(best, load(s + t));
    const float page_maximum = max(best);
    const float updated = page_maximum > *maximum ? page_maximum : *maximum;
    *correction = exp(splat(*maximum - updated))[0];
    *maximum = updated;
    vf total{};
    for (int64_t t = 0; t < kPageTokens; t += kLanes) {
        const vf p = exp(load(s + t) - splat(updated));
        store(s + t, p);
        total = total + p;
    }
    return sum(total);
}

template <class KV>
static void attention(const AttentionArgs& a) {
    const int64_t rows = a.tokens * a.heads;   // row = token * heads + head
    const int64_t wide = round_up(a.dh, 16);
    float* q = a.scratch;                      // [rows, dh], scaled
    float* scores = q + rows * a.dh;           // [rows, 64]
    float* out = scores + rows * kPageTokens;  // [rows, wide]
    float* maximum = out + rows * wide;        // [rows]
    float* total = maximum + rows;             // [rows]

    const float scale = 1.0F / __builtin_sqrtf(static_cast<float>(a.dh));
    for (int64_t r = 0; r < rows; ++r) {
        const float* from = a.q + r / a.heads * a.ldq + r % a.heads * a.dh;
        for (int64_t i = 0; i < a.dh; ++i) q[r * a.dh + i] = from[i] * scale;
        maximum[r] = -__builtin_inff();
        total[r] = 0.0F;
    }
    for (int64_t i = 0; i < rows * wide; ++i) out[i] = 0.0F;

    const int64_t last_position = a.first_position + a.tokens - 1;
    for (int64_t page = 0; page * kPageTokens <= last_position; ++page) {
        const int64_t base = page * kPageTokens;
        const int64_t used = last_position + 1 - base < kPageTokens ? last_position + 1 - base : kPageTokens;
        const KV* k = reinterpret_cast<const KV*>(a.k[page]);
        const KV* v = reinterpret_cast<const KV*>(a.v[page]);
        panel_product(FloatProduct<KV>{q, a.dh, k, 16 * a.dh, a.dh}, rows, 0, (used + 15) / 16, scores, kPageTokens,
                      false);
        for (int64_t r = 0; r < rows; ++r) {
            float* s = scores + r * kPageTokens;
            const int64_t behind = a.first_position + r / a.heads + 1 - base;  // tokens of this page that r may see
            const int64_t visible = behind < 0 ? 0 : behind < kPageTokens ? behind : kPageTokens;
            if (visible == 0) {
                for (int64_t t = 0; t < kPageTokens; ++t) s[t] = 0.0F;
                continue;
            }
            float correction;
            const float added = softmax_page(s, visible, &maximum[r], &correction);
            total[r] = total[r] * correction + added;
            for (int64_t i = 0; i < wide; ++i) out[r * wide + i] *= correction;
        }
        panel_product(FloatProduct<KV>{scores, kPageTokens, v, 16 * kPageTokens, used}, rows, 0, wide / 16, out, wide,
                      true);
    }

    for (int64_t r = 0; r < rows; ++r) {
        float* to = a.out + r / a.heads * a.ldout + r % a.heads * a.dh;
        for (int64_t i = 0; i < a.dh; ++i) to[i] = out[r * wide + i] / total[r];
    }
}

}  // namespace qwen3::cpu::QWEN3_KERNELS_ISA
