// The kernels as the host calls them. Every function enqueues on the step's stream and returns at once; pointers are
// device memory. Activations are f32, row-major, without padding; weights are bf16 [out, in], their first byte on a
// multiple of 16. A size may be 0 (a shard may own no MLP neurons and no vocabulary rows); then the function does what
// the formula says and launches nothing where nothing is to be written.
//
// The grid of a launch depends on the Bucket and on shapes alone, the work on what DeviceBatch holds when the kernel
// runs, so a step of verbs can be captured into a CUDA graph and replayed for every batch that its bucket covers.
//
// Emulated build (-DQWEN3_CUDA_EMU=ON, target qwen3_cuda_kernels_emu): the same functions run on the calling host
// thread before they return, device memory is host memory, and the stream is ignored.
#pragma once

#include "ops/cuda/types.hpp"

namespace qwen3::cuda {

using Stream = void*;        // a cudaStream_t
using Status = const char*;  // nullptr, or what went wrong (static storage)

// The most rows that the GEMV verbs take. Steps of more rows go through cublasLt and the helpers at the end.
constexpr int32_t kGemvRows = 8;

// The upper bounds of what a captured step can replay. Kernels read the actual counts from the device.
struct Bucket {
    int32_t rows;        // >= counts->rows
    int32_t sequences;   // >= counts->sequences
    int32_t logit_rows;  // >= counts->logit_rows
    bool single_rows;    // there may be sequences of exactly one row (decode)
    bool many_rows;      // there may be sequences of more than one row (prefill)
};

struct Step {
    DeviceBatch batch;
    Bucket bucket;
    Stream stream;
};

// A shard of a projection, [rows, columns] = [out, in]; row stride = columns.
struct Weight {
    const Bf16* data;
    int64_t rows;
    int64_t columns;
};

struct Norm {
    const float* weight;  // f32
    float epsilon;
};

// Copies every page of counts->copies, whatever their number. One launch.
Status copy_pages(const Step& step, const KvPages& kv);

// hidden [rows, d] = row (token - first_token) of the table where the shard holds it, else 0. One launch.
Status embed(const Step& step, const Weight& table, int64_t first_token, float* hidden);

// q, k, v = RMSNorm(hidden) times wq, wk, wv. One launch. bucket.rows <= kGemvRows.
Status norm_qkv(const Step& step, const float* hidden, const Norm& norm, const Weight& wq, const Weight& wk,
                const Weight& wv, float* q, float* k, float* v);

// RMSNorm per head, then RoPE: q [rows, query_heads * dh] in place, k and v [rows, kv_heads * dh] into the pages of
// this layer. One launch.
Status qk_norm_rope_append(const Step& step, const KvPages& kv, const Heads& heads, int64_t layer, const Norm& q_norm,
                           const Norm& k_norm, float* q, const float* k, const float* v);

// out [rows, query_heads * dh] = causal softmax(q k / sqrt(dh)) v over each sequence's pages. Two launches for the rows
// of one-row sequences (split over the context, combined), one for the others (tiles on the tensor cores).
// The workspace needs attention_workspace_bytes(step.bucket, heads, kv.type) bytes; it keeps nothing between calls.
Status attention(const Step& step, const KvPages& kv, const Heads& heads, int64_t layer, const float* q,
                 void* workspace, float* out);
size_t attention_workspace_bytes(const Bucket& bucket, const Heads& heads, KvType type);

// hidden [rows, weight.rows] = x [rows, weight.columns] times weight (+ hidden): o_residual and down_residual.
// One launch. bucket.rows <= kGemvRows.
Status project_residual(const Step& step, const float* x, const Weight& weight, bool residual, float* hidden);

// act [rows, gate.rows] = silu(gate) * up of RMSNorm(hidden). One launch. bucket.rows <= kGemvRows.
Status norm_gate_up_silu(const Step& step, const float* hidden, const Norm& norm, const Weight& gate, const Weight& up,
                         float* act);

// logits [logit_rows, logits_stride] = RMSNorm(hidden at batch.logit_rows) times head, columns 0 .. head.rows - 1.
// One launch. bucket.logit_rows <= kGemvRows (bucket.rows may be anything).
Status norm_head(const Step& step, const float* hidden, const Norm& norm, const Weight& head, float* logits,
                 int64_t logits_stride);

// ---- what stands around a library's GEMM when there are more rows. One launch each. --------------------------------

// out [rows, columns] = RMSNorm(x), rounded.
Status rms_norm(const Step& step, const float* x, const Norm& norm, int64_t columns, Bf16* out);

// out [logit_rows, columns] = RMSNorm(x at batch.logit_rows), rounded.
Status rms_norm_logit_rows(const Step& step, const float* x, const Norm& norm, int64_t columns, Bf16* out);

// out [rows, columns] = x, rounded to nearest even.
Status to_bf16(const Step& step, const float* x, int64_t columns, Bf16* out);

// out [rows, columns] = silu(gate) * up; out may be gate.
Status silu_mul(const Step& step, const float* gate, const float* up, int64_t columns, float* out);

}  // namespace qwen3::cuda
