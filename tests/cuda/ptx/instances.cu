// Kernels as nvcc compiles them, a few instances of each: what the interpreter runs.
#include "ops/cuda/kernels/attention_decode.cuh"
#include "ops/cuda/kernels/attention_prefill.cuh"
#include "ops/cuda/kernels/copy_pages.cuh"
#include "ops/cuda/kernels/elementwise.cuh"
#include "ops/cuda/kernels/embed.cuh"
#include "ops/cuda/kernels/norm_gate_up_silu.cuh"
#include "ops/cuda/kernels/norm_head.cuh"
#include "ops/cuda/kernels/norm_qkv.cuh"
#include "ops/cuda/kernels/project_residual.cuh"
#include "ops/cuda/kernels/qk_norm_rope_append.cuh"
#include "ops/cuda/kernels/rms_norm.cuh"

namespace qwen3::cuda {

template __global__ void norm_qkv_kernel<2>(GemvInput, Projection, Projection, Projection);
template __global__ void project_residual_kernel<1>(GemvInput, const gpu::bf16*, int64_t, bool, float*);
template __global__ void norm_gate_up_silu_kernel<4>(GemvInput, const gpu::bf16*, const gpu::bf16*, int64_t, float*);
template __global__ void norm_head_kernel<2>(GemvInput, const gpu::bf16*, int64_t, float*, int64_t);
template __global__ void qk_norm_rope_append_kernel<gpu::bf16>(DeviceBatch, KvPages, Heads, int64_t, const float*,
                                                               float, const float*, float, float*, const float*,
                                                               const float*);
template __global__ void attention_decode_kernel<gpu::bf16, 2, 16>(DeviceBatch, KvPages, Heads, int64_t, const float*,
                                                                   SplitResults, bool);
template __global__ void attention_prefill_kernel<32>(DeviceBatch, KvPages, Heads, int64_t, const float*, float*);

}  // namespace qwen3::cuda
