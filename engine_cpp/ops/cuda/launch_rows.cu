// Launches of what works row by row: the embedding, and what stands around a library's GEMM.
#include <algorithm>

#include "ops/cuda/kernels/elementwise.cuh"
#include "ops/cuda/kernels/embed.cuh"
#include "ops/cuda/kernels/rms_norm.cuh"
#include "ops/cuda/launch.hpp"

namespace qwen3::cuda {
namespace {

constexpr unsigned kThreads = 256;

// Blocks for that many values, a few each; bounded, since the kernels go round.
unsigned blocks_for(int64_t values) {
    constexpr int64_t kValues = 4 * kThreads;
    constexpr int64_t kMost = 4096;
    return static_cast<unsigned>(std::min((values + kValues - 1) / kValues, kMost));
}

Status launch_rms_norm(int32_t rows, Stream stream, const int32_t* count, const int32_t* index, const float* x,
                       const Norm& norm, int64_t columns, Bf16* out) {
    if (rows == 0) return nullptr;
    return gpu::launch(rms_norm_kernel, static_cast<unsigned>(rows), kThreads, 0, stream, count, index, x, norm.weight,
                       norm.epsilon, columns, out);
}

}  // namespace

Status embed(const Step& step, const Weight& table, int64_t first_token, float* hidden) {
    return gpu::launch(embed_kernel, static_cast<unsigned>(step.bucket.rows), kThreads, 0, step.stream, step.batch,
                       table.data, first_token, table.rows, table.columns, hidden);
}

Status rms_norm(const Step& step, const float* x, const Norm& norm, int64_t columns, Bf16* out) {
    return launch_rms_norm(step.bucket.rows, step.stream, &step.batch.counts->rows, nullptr, x, norm, columns, out);
}

Status rms_norm_logit_rows(const Step& step, const float* x, const Norm& norm, int64_t columns, Bf16* out) {
    return launch_rms_norm(step.bucket.logit_rows, step.stream, &step.batch.counts->logit_rows, step.batch.logit_rows,
                           x, norm, columns, out);
}

Status to_bf16(const Step& step, const float* x, int64_t columns, Bf16* out) {
    if (columns == 0) return nullptr;
    return gpu::launch(to_bf16_kernel, blocks_for(step.bucket.rows * columns), kThreads, 0, step.stream, step.batch, x,
                       columns, out);
}

Status silu_mul(const Step& step, const float* gate, const float* up, int64_t columns, float* out) {
    if (columns == 0) return nullptr;
    return gpu::launch(silu_mul_kernel, blocks_for(step.bucket.rows * columns), kThreads, 0, step.stream, step.batch,
                       gate, up, columns, out);
}

}  // namespace qwen3::cuda
