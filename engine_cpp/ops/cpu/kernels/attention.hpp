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
    *correction = 1.0F;
    if (page_maximum > *maximum) {
        *correction = exp(splat(*maximum - page_maximum))[0];
        *maximum = page_maximum;
    }
    const float updated = *maximum;
    vf total{};
    for (int64_t t = 0; t < kPageTokens; t += kLanes) {
        const vf p = exp(load(s + t) - splat(updated));
        store(s + t, p);
        total = total + p;
    }
    return sum(total);
}

// What a KV head's rows (row = token * heads + head) carry from page to page.
struct RunningSoftmax {
    float* q;        // [rows, dh], scaled
    float* out;      // [rows, wide], not yet divided
    float* maximum;  // [rows]
    float* total;    // [rows]
};

// One page of one KV head: of its 64 tokens, from position `base`, the first `used` are there.
template <class KV>
static inline void attend_page(const AttentionArgs& a, const RunningSoftmax& state, int64_t heads, const char* k,
                               int64_t base, int64_t used, float* scores) {
    const int64_t rows = a.tokens * heads, wide = round_up(a.dh, 16);
    const FloatProduct<KV> keys{state.q, a.dh, reinterpret_cast<const KV*>(k), 16 * a.dh, a.dh};
    panel_product(keys, rows, 0, (used + 15) / 16, scores, kPageTokens, false);
    for (int64_t r = 0; r < rows; ++r) {
        float* s = scores + r * kPageTokens;
        const int64_t behind = a.first_position + r / heads + 1 - base;  // tokens of this page that r may see
        const int64_t visible = behind < 0 ? 0 : behind < kPageTokens ? behind : kPageTokens;
        if (visible == 0) {
            for (int64_t t = 0; t < kPageTokens; ++t) s[t] = 0.0F;
            continue;
        }
        float correction;
        const float added = softmax_page(s, visible, &state.maximum[r], &correction);
        state.total[r] = state.total[r] * correction + added;
        if (correction != 1.0F)
            for (int64_t i = 0; i < wide; ++i) state.out[r * wide + i] *= correction;
    }
    const FloatProduct<KV> values{scores, kPageTokens, reinterpret_cast<const KV*>(k + a.v_offset), 16 * kPageTokens,
                                  used};
    panel_product(values, rows, 0, wide / 16, state.out, wide, true);
}

// Page by page and, within a page, head by head: for few tokens that is one stream of memory.
template <class KV>
static void attention(const AttentionArgs& a) {
    const int64_t wide = round_up(a.dh, 16);
    const float scale = 1.0F / __builtin_sqrtf(static_cast<float>(a.dh));
    int64_t total_rows = 0;
    for (int64_t h = 0; h < a.kv_head_count; ++h) total_rows += a.tokens * a.kv_heads[h].heads;
    RunningSoftmax all{a.scratch, a.scratch + total_rows * a.dh, nullptr, nullptr};
    all.maximum = all.out + total_rows * wide;
    all.total = all.maximum + total_rows;
    float* scores = all.total + total_rows;
    auto from_row = [&](int64_t row) {
        return RunningSoftmax{all.q + row * a.dh, all.out + row * wide, all.maximum + row, all.total + row};
    };

    int64_t row = 0;
    for (int64_t h = 0; h < a.kv_head_count; ++h) {
        const AttentionHead& head = a.kv_heads[h];
        for (int64_t r = 0; r < a.tokens * head.heads; ++r, ++row) {
            const float* q = head.q + r / head.heads * a.ldq + r % head.heads * a.dh;
            for (int64_t i = 0; i < a.dh; ++i) all.q[row * a.dh + i] = q[i] * scale;
            for (int64_t i = 0; i < wide; ++i) all.out[row * wide + i] = 0.0F;
            all.maximum[row] = -__builtin_inff();
            all.total[row] = 0.0F;
        }
    }

    const int64_t length = a.first_position + a.tokens;
    for (int64_t page = 0; page * kPageTokens < length; ++page) {
        const int64_t base = page * kPageTokens;
        const int64_t used = length - base < kPageTokens ? length - base : kPageTokens;
        row = 0;
        for (int64_t h = 0; h < a.kv_head_count; ++h) {
            const AttentionHead& head = a.kv_heads[h];
            if (h + 1 == a.kv_head_count && base + kPageTokens < length)  // where the stream goes on
                for (int64_t line = 0; line < kPrefetchBytes; line += 64)
                    __builtin_prefetch(a.pages[page + 1] + a.kv_heads[0].offset + line);
            attend_page<KV>(a, from_row(row), head.heads, a.pages[page] + head.offset, base, used, scores);
            row += a.tokens * head.heads;
        }
    }

    row = 0;
    for (int64_t h = 0; h < a.kv_head_count; ++h) {
        const AttentionHead& head = a.kv_heads[h];
        for (int64_t r = 0; r < a.tokens * head.heads; ++r, ++row) {
            float* out = head.out + r / head.heads * a.ldout + r % head.heads * a.dh;
            for (int64_t i = 0; i < a.dh; ++i) out[i] = all.out[row * wide + i] / all.total[row];
        }
    }
}

}  // namespace qwen3::cpu::QWEN3_KERNELS_ISA
