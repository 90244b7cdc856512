// The kernels of one instruction set. They take raw pointers, run on the calling thread and allocate nothing.
#pragma once

#include <cstdint>

namespace qwen3::cpu {

constexpr int64_t kPanel = 16;       // output rows that a panel interleaves
constexpr int64_t kPageTokens = 64;  // tokens of a KV page
constexpr int64_t kQueryBlock = 24;  // tokens of one attention call: whole tiles, whatever the heads
constexpr int64_t kGroup = 32;       // successive k that share a scale, of integer weights and of their activations
constexpr int64_t kLogitsBlock = 256;

// Integer weights lie in blocks of two groups: a line of scales, bf16 [16 rows][2 groups], then each group's values.
constexpr int64_t kBlock = 2 * kGroup;                                  // k
constexpr int64_t kScaleBytes = kPanel * 2 * 2;
constexpr int64_t kInt8BlockBytes = kScaleBytes + kPanel * kBlock;      // [k / 4][16][4], signed
constexpr int64_t kInt4BlockBytes = kScaleBytes + kPanel * kBlock / 2;  // [k / 8][16][4], w + 8: low nibbles k..k+3

constexpr int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// Activations as integer weights meet them: x = scale * value in groups of 32, zeros up to a whole block.
struct QuantizedRows {
    int8_t* values;   // [tokens, columns]
    float* scales;    // [tokens, columns / 32]
    int32_t* sums;    // of each group's values
    int64_t columns;  // whole blocks

    QuantizedRows from(int64_t row) const {
        return {values + row * columns, scales + row * (columns / kGroup), sums + row * (columns / kGroup), columns};
    }
};

// y[t, row] = (accumulate ? y[t, row] : 0) + sum over k of x[t, k] * w[row, k], one chain per output with k ascending
// (integer weights: exact sums of groups, then one chain over them): the same bits whatever the number of tokens,
// panels or threads.
struct MatmulArgs {
    const float* x;           // [tokens, ldx]
    int64_t ldx;              // floats
    QuantizedRows quantized;  // instead of x, for integer weights
    int64_t tokens;
    const void* panels;       // the first panel of this call
    int64_t panel_bytes;
    int64_t panel_count;
    int64_t k;     // columns of w
    float* y;      // [tokens, ldy], at the first panel's first row
    int64_t ldy;   // floats
    int64_t rows;  // of y: the last panel may be partial
    bool accumulate;
};

// The KV heads of a page are blocks of two panels' worth: K as 4 panels of 16 tokens over dh, V as dh / 16 panels of 16
// dimensions over 64 tokens.
struct KvSlot {
    void* k;        // this head's K block of the page
    void* v;        // this head's V block of the page
    int64_t index;  // token in the page
};

// The query heads of one KV head.
struct AttentionHead {
    const float* q;  // [tokens, ldq], at the first of them
    float* out;      // [tokens, ldout]
    int64_t heads;   // query heads
    int64_t offset;  // bytes of this head's K block from a page's start
};

struct AttentionArgs {
    const AttentionHead* kv_heads;
    int64_t kv_head_count;
    int64_t ldq;               // floats
    int64_t ldout;
    int64_t tokens;            // <= kQueryBlock
    int64_t dh;
    int64_t first_position;    // of the first token
    const char* const* pages;  // in order of position; the heads of this layer lie one behind the other in each
    int64_t v_offset;          // bytes from a head's K block to its V block
    float* scratch;  // attention_scratch(rows, most rows of one KV head, dh) floats; a row is a token and head
};

constexpr int64_t attention_scratch(int64_t rows, int64_t rows_of_a_head, int64_t dh) {
    return rows * (dh + round_up(dh, kPanel) + 2) + rows_of_a_head * kPageTokens;
}

struct Kernels {
    const char* isa;

    void (*rms_norm)(const float* x, const float* weight, float epsilon, int64_t n, float* y);
    // One head: RMSNorm over dh, then RoPE. y may be x.
    void (*norm_rope)(const float* x, const float* weight, float epsilon, const float* cos, const float* sin,
                      int64_t dh, float* y);
    void (*silu_mul)(float* gate, const float* up, int64_t n);             // gate = silu(gate) * up

    void (*add_scaled)(const float* x, float scale, int64_t n, float* y);  // y += scale * x

    void (*matmul_f32)(const MatmulArgs&);
    void (*matmul_f16)(const MatmulArgs&);
    void (*matmul_bf16)(const MatmulArgs&);
    void (*matmul_int8)(const MatmulArgs&);
    void (*matmul_int4)(const MatmulArgs&);

    // One row of activations [n]; values, scales and sums as QuantizedRows has them. What is not finite stays so.
    void (*quantize_row)(const float* x, int64_t n, int8_t* values, float* scales, int32_t* sums);
    // One block of weights, columns [64][16 rows].
    void (*quantize_int8)(const float* columns, void* block);
    void (*quantize_int4)(const float* columns, void* block);

    void (*append_f32)(const float* k, const float* v, int64_t dh, const KvSlot&);
    void (*append_bf16)(const float* k, const float* v, int64_t dh, const KvSlot&);
    void (*attention_f32)(const AttentionArgs&);
    void (*attention_bf16)(const AttentionArgs&);

    float (*read_all)(const float* data, int64_t n);               // their sum
    double (*multiply_add)(int64_t rounds, float* result);         // operations done; result is read and written
    double (*multiply_add_int8)(int64_t rounds, int32_t* result);  // the same for int8 products and int32 sums

    // The largest of each kLogitsBlock of x, whose last may be short; NaN passed over.
    void (*block_maxima)(const float* x, int64_t n, float* maxima);
    // Sum of exp(x - shift), for a shift >= every x.
    double (*sum_exp)(const float* x, int64_t n, float shift);
};

// The best kernels of this machine, or those that QWEN3_ISA (portable, avx2, avx512) names.
// Throws ConfigError when it names none that can run here.
const Kernels& select_kernels();

}  // namespace qwen3::cpu
