// Launches of the verbs that multiply a weight with at most kGemvRows vectors.
#include "ops/cuda/kernels/norm_gate_up_silu.cuh"
#include "ops/cuda/kernels/norm_head.cuh"
#include "ops/cuda/kernels/norm_qkv.cuh"
#include "ops/cuda/kernels/project_residual.cuh"
#include "ops/cuda/launch.hpp"

namespace qwen3::cuda {
namespace {

constexpr Status kTooManyRows = "a GEMV verb was launched for more than 8 rows";

// Calls with the smallest number of vectors, as a constant, that a kernel is compiled for and that holds `vectors`.
template <class Call>
Status for_vectors(int32_t vectors, Call call) {
    if (vectors <= 1) return call(std::integral_constant<int, 1>{});
    if (vectors <= 2) return call(std::integral_constant<int, 2>{});
    if (vectors <= 4) return call(std::integral_constant<int, 4>{});
    if (vectors <= 8) return call(std::integral_constant<int, 8>{});
    return kTooManyRows;
}

unsigned blocks_for(int64_t units) { return static_cast<unsigned>((units + kGemvWarps - 1) / kGemvWarps); }

int64_t pairs(int64_t rows) { return (rows + 1) / 2; }

GemvInput rows_of(const Step& step, const float* x, const Norm& norm, int64_t columns) {
    return {x, &step.batch.counts->rows, nullptr, norm.weight, norm.epsilon, columns};
}

}  // namespace

Status norm_qkv(const Step& step, const float* hidden, const Norm& norm, const Weight& wq, const Weight& wk,
                const Weight& wv, float* q, float* k, float* v) {
    const GemvInput in = rows_of(step, hidden, norm, wq.columns);
    const unsigned blocks = blocks_for(pairs(wq.rows) + pairs(wk.rows) + pairs(wv.rows));
    return for_vectors(step.bucket.rows, [&](auto vectors) {
        constexpr int T = decltype(vectors)::value;
        return gpu::launch(norm_qkv_kernel<T>, blocks, kGemvThreads, gemv_stage_bytes<T>(in.columns), step.stream, in,
                           Projection{wq.data, wq.rows, q}, Projection{wk.data, wk.rows, k},
                           Projection{wv.data, wv.rows, v});
    });
}

Status project_residual(const Step& step, const float* x, const Weight& weight, bool residual, float* hidden) {
    const GemvInput in = rows_of(step, x, {nullptr, 0.0F}, weight.columns);
    return for_vectors(step.bucket.rows, [&](auto vectors) {
        constexpr int T = decltype(vectors)::value;
        return gpu::launch(project_residual_kernel<T>, blocks_for(pairs(weight.rows)), kGemvThreads,
                           gemv_stage_bytes<T>(in.columns), step.stream, in, weight.data, weight.rows, residual,
                           hidden);
    });
}

Status norm_gate_up_silu(const Step& step, const float* hidden, const Norm& norm, const Weight& gate, const Weight& up,
                         float* act) {
    if (gate.rows == 0) return nullptr;
    const GemvInput in = rows_of(step, hidden, norm, gate.columns);
    return for_vectors(step.bucket.rows, [&](auto vectors) {
        constexpr int T = decltype(vectors)::value;
        return gpu::launch(norm_gate_up_silu_kernel<T>, blocks_for(gate.rows), kGemvThreads,
                           gemv_stage_bytes<T>(in.columns), step.stream, in, gate.data, up.data, gate.rows, act);
    });
}

Status norm_head(const Step& step, const float* hidden, const Norm& norm, const Weight& head, float* logits,
                 int64_t logits_stride) {
    if (head.rows == 0 || step.bucket.logit_rows == 0) return nullptr;
    const GemvInput in{hidden,      &step.batch.counts->logit_rows, step.batch.logit_rows, norm.weight, norm.epsilon,
                       head.columns};
    return for_vectors(step.bucket.logit_rows, [&](auto vectors) {
        constexpr int T = decltype(vectors)::value;
        return gpu::launch(norm_head_kernel<T>, blocks_for(pairs(head.rows)), kGemvThreads,
                           gemv_stage_bytes<T>(in.columns), step.stream, in, head.data, head.rows, logits,
                           logits_stride);
    });
}

}  // namespace qwen3::cuda
