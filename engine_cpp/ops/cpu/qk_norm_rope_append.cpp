#include "ops/cpu/cpu_ops.hpp"

namespace qwen3::cpu {

void CpuOps::qk_norm_rope_append(Buffer& q, Buffer& k, const Buffer& v, const Vector& q_norm, const Vector& k_norm,
                                 int64_t layer) {
    const auto& queries = static_cast<CpuBuffer&>(q);
    const auto& keys = static_cast<CpuBuffer&>(k);
    const auto& values = static_cast<const CpuBuffer&>(v);
    const float* q_weight = static_cast<const CpuVector&>(q_norm).data();
    const float* k_weight = static_cast<const CpuVector&>(k_norm).data();
    const int64_t dh = shape_.meta.dh;
    const float epsilon = shape_.meta.epsilon;
    const auto append = shape_.kv == DType::f32 ? kernels_.append_f32 : kernels_.append_bf16;

    auto token = [&](const SequenceSpan& sequence, int64_t i) {
        const int64_t row = sequence.first_row + i;
        const float* cos = batch_->cos.data() + row * dh / 2;
        const float* sin = batch_->sin.data() + row * dh / 2;
        for (int64_t h = 0; h < shape_.shard.query_heads.size(); ++h) {
            float* head = queries.row(row) + h * dh;
            kernels_.norm_rope(head, q_weight, epsilon, cos, sin, dh, head);
        }
        const int64_t position = sequence.first_position + i;
        const int32_t page = sequence.pages[static_cast<size_t>(position / kPageTokens)];
        for (int64_t h = 0; h < shape_.shard.kv_heads.size(); ++h) {
            float* head = keys.row(row) + h * dh;
            kernels_.norm_rope(head, k_weight, epsilon, cos, sin, dh, head);
            append(head, values.row(row) + h * dh, dh,
                   {kv_->k(page, layer, h), kv_->v(page, layer, h), position % kPageTokens});
        }
    };
    pool_.run([&](int thread) {
        const Range mine = share(batch_->ntok(), thread);
        for (const SequenceSpan& sequence : batch_->sequences) {
            const int64_t begin = std::max(mine.begin, sequence.first_row) - sequence.first_row;
            const int64_t end = std::min(mine.end, sequence.first_row + sequence.rows) - sequence.first_row;
            for (int64_t i = begin; i < end; ++i) token(sequence, i);
        }
    });
}

}  // namespace qwen3::cpu
