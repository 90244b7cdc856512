// Launches around the KV pages: append, attention, copy-on-write.
#include "ops/cuda/kernels/attention_decode.cuh"
#include "ops/cuda/kernels/attention_prefill.cuh"
#include "ops/cuda/kernels/copy_pages.cuh"
#include "ops/cuda/kernels/qk_norm_rope_append.cuh"
#include "ops/cuda/launch.hpp"

namespace qwen3::cuda {
namespace {

// Which kernels serve a step, and in how many pieces.
struct Plan {
    bool tiles;        // sequences of several rows go to the tensor cores
    bool only_single;  // the splitting kernel serves one-row sequences only, a slot each
    int32_t slots;     // of the splitting kernel; 0: it is not needed
    int splits;
};

// Enough blocks for a large device when there are few slots; a bounded workspace when there are many.
int splits_for(int32_t slots) {
    if (slots <= 16) return kMaxSplits;
    if (slots <= 64) return 8;
    return slots <= 256 ? 4 : 1;
}

Plan plan_for(const Bucket& bucket, const Heads& heads, KvType type) {
    const bool fits_tiles = type == KvType::bf16 && heads.head_dim % 8 == 0 && heads.group <= kTileRows;
    Plan plan{};
    plan.tiles = bucket.many_rows && fits_tiles;
    plan.only_single = plan.tiles || !bucket.many_rows;
    plan.slots = !plan.only_single ? bucket.rows : bucket.single_rows ? bucket.sequences : 0;
    plan.splits = splits_for(plan.slots);
    return plan;
}

int64_t split_count(const Plan& plan, const Heads& heads) {
    return static_cast<int64_t>(plan.slots) * heads.query_heads * plan.splits;
}

template <class KV, int HEADS>
Status launch_decode(const Step& step, const Plan& plan, const KvPages& kv, const Heads& heads, int64_t layer,
                     const float* q, const SplitResults& results) {
    const int chunks = (heads.group + HEADS - 1) / HEADS;
    const dim3 grid(static_cast<unsigned>(plan.splits), static_cast<unsigned>(heads.kv_heads * chunks),
                    static_cast<unsigned>(plan.slots));
    if (heads.head_dim <= 128)
        return gpu::launch(attention_decode_kernel<KV, HEADS, 16>, grid, kDecodeThreads, decode_smem_bytes<HEADS, 16>(),
                           step.stream, step.batch, kv, heads, layer, q, results, plan.only_single);
    return gpu::launch(attention_decode_kernel<KV, HEADS, 32>, grid, kDecodeThreads, decode_smem_bytes<HEADS, 32>(),
                       step.stream, step.batch, kv, heads, layer, q, results, plan.only_single);
}

template <class KV>
Status launch_decode(const Step& step, const Plan& plan, const KvPages& kv, const Heads& heads, int64_t layer,
                     const float* q, const SplitResults& results) {
    if (heads.group <= 1) return launch_decode<KV, 1>(step, plan, kv, heads, layer, q, results);
    if (heads.group <= 2) return launch_decode<KV, 2>(step, plan, kv, heads, layer, q, results);
    if (heads.group <= 4) return launch_decode<KV, 4>(step, plan, kv, heads, layer, q, results);
    return launch_decode<KV, 8>(step, plan, kv, heads, layer, q, results);
}

template <int DH>
Status launch_prefill(const Step& step, const KvPages& kv, const Heads& heads, int64_t layer, const float* q,
                      float* out) {
    const int32_t tiles = step.bucket.rows / prefill_tokens(heads.group) + step.bucket.sequences;
    const dim3 grid(static_cast<unsigned>(tiles), static_cast<unsigned>(heads.kv_heads));
    return gpu::launch(attention_prefill_kernel<DH>, grid, kPrefillThreads, prefill_smem_bytes<DH>(), step.stream,
                       step.batch, kv, heads, layer, q, out);
}

}  // namespace

Status copy_pages(const Step& step, const KvPages& kv) {
    return gpu::launch(copy_pages_kernel, dim3(32, 8), 256, 0, step.stream, step.batch, kv);
}

Status qk_norm_rope_append(const Step& step, const KvPages& kv, const Heads& heads, int64_t layer, const Norm& q_norm,
                           const Norm& k_norm, float* q, const float* k, const float* v) {
    if (heads.head_dim > kMaxHeadDim || heads.head_dim % 2 != 0) return "head_dim must be even and at most 256";
    const int count = heads.query_heads + heads.kv_heads;
    const dim3 grid(static_cast<unsigned>(step.bucket.rows),
                    static_cast<unsigned>((count + kRopeWarps - 1) / kRopeWarps));
    const auto kernel =
        kv.type == KvType::f32 ? qk_norm_rope_append_kernel<float> : qk_norm_rope_append_kernel<gpu::bf16>;
    return gpu::launch(kernel, grid, kRopeWarps * 32, 0, step.stream, step.batch, kv, heads, layer, q_norm.weight,
                       q_norm.epsilon, k_norm.weight, k_norm.epsilon, q, k, v);
}

size_t attention_workspace_bytes(const Bucket& bucket, const Heads& heads, KvType type) {
    const int64_t splits = split_count(plan_for(bucket, heads, type), heads);
    return static_cast<size_t>(splits) * (sizeof(float2) + static_cast<size_t>(heads.head_dim) * sizeof(float));
}

Status attention(const Step& step, const KvPages& kv, const Heads& heads, int64_t layer, const float* q,
                 void* workspace, float* out) {
    const Plan plan = plan_for(step.bucket, heads, kv.type);
    if (plan.slots > 0) {
        auto* stats = static_cast<float2*>(workspace);
        const SplitResults results{stats, reinterpret_cast<float*>(stats + split_count(plan, heads)), plan.splits};
        const auto decode = kv.type == KvType::f32 ? launch_decode<float> : launch_decode<gpu::bf16>;
        if (Status failed = decode(step, plan, kv, heads, layer, q, results)) return failed;
        const dim3 grid(static_cast<unsigned>(heads.query_heads), static_cast<unsigned>(plan.slots));
        if (Status failed = gpu::launch(attention_combine_kernel, grid, 128, 0, step.stream, step.batch, heads, results,
                                        plan.only_single, out))
            return failed;
    }
    if (!plan.tiles) return nullptr;
    if (heads.head_dim <= 32) return launch_prefill<32>(step, kv, heads, layer, q, out);
    if (heads.head_dim <= 64) return launch_prefill<64>(step, kv, heads, layer, q, out);
    if (heads.head_dim <= 128) return launch_prefill<128>(step, kv, heads, layer, q, out);
    return launch_prefill<256>(step, kv, heads, layer, q, out);
}

}  // namespace qwen3::cuda
